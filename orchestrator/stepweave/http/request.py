"""An HTTP request as an API step receives it: the body stays bytes, checked once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

import orjson

from stepweave.errors import InvalidInput, TooLarge
from stepweave.http import query
from stepweave.payload import Payload

__all__ = ["ClientGone", "Receive", "body_payload", "headers", "query_of", "read_body"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_FORM = "application/x-www-form-urlencoded"
_BOM = b"\xef\xbb\xbf"


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


def headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Header values by lower-case name; a list where a name repeats, cookies joined."""
    result: dict[str, Any] = {}
    for name, value in raw:
        key = name.decode("latin-1")
        text = value.decode("latin-1")
        old = result.get(key)
        if old is None:
            result[key] = text
        elif key == "cookie":
            result[key] = f"{old}; {text}"
        elif isinstance(old, list):
            old.append(text)
        else:
            result[key] = [old, text]
    return result


def query_of(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The query parameters. Raises InvalidInput when there are too many or they are not text."""
    raw: bytes = scope["query_string"]
    if not raw:
        return {}
    try:
        return query.parse(raw.decode("ascii"))
    except UnicodeDecodeError as error:
        raise InvalidInput("the query string has bytes that are not percent-encoded") from error


async def read_body(receive: Receive, head: Mapping[str, Any], limit: int) -> bytes:
    """The whole body. Raises TooLarge over `limit` bytes and ClientGone."""
    length = head.get("content-length")
    if length is None and "transfer-encoding" not in head:
        return b""
    if isinstance(length, str) and length.isdecimal() and int(length) > limit:
        raise TooLarge(f"the body has {length} bytes, the limit is {limit}")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body is over the limit of {limit} bytes")
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def body_payload(body: bytes, content_type: str | None) -> tuple[Payload | None, Any]:
    """The body as a payload, and its decoded value when it is JSON or a form (else None).

    Raises InvalidInput when the bytes are not what the content type says.
    """
    if not body:
        return None, {}
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        body = body.removeprefix(_BOM)
        try:
            return ("json", body), orjson.loads(body)
        except ValueError as error:
            raise InvalidInput(f"the body is not JSON: {error}") from error
    if kind == _FORM:
        try:
            value = query.parse(body.decode())
        except UnicodeDecodeError as error:
            raise InvalidInput("the form is not UTF-8") from error
        return ("json", orjson.dumps(value)), value
    if kind.startswith("text/"):
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput("the text is not UTF-8") from error
        return ("text", body), text
    return ("bytes", body), None
