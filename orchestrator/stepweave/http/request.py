"""An HTTP request as an API step receives it: the body stays bytes, checked once."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
)
from typing import Any

import orjson

from stepweave.errors import InvalidInput, TooLarge, Unsupported
from stepweave.http import query
from stepweave.payload import Payload

__all__ = [
    "ClientGone", "Receive", "body_payload", "headers", "once", "query_of", "read_body",
    "read_parts",
]  # fmt: skip

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_FORM = "application/x-www-form-urlencoded"
_BOM = b"\xef\xbb\xbf"
_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "latin-1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}


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
    if not _expected(head, limit):
        return b""
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


async def read_parts(receive: Receive, head: Mapping[str, Any], limit: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises as `read_body`."""
    if not _expected(head, limit):
        return
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body is over the limit of {limit} bytes")
        if part:
            yield part
        more = message.get("more_body", False)


async def once(body: bytes) -> AsyncIterator[bytes]:
    """A whole body, for who takes parts."""
    yield body


def body_payload(
    body: bytes, content_type: str | None, max_fields: int = 1000
) -> tuple[Payload | None, Any, bytes | None]:
    """The body as a payload; its value when it is JSON, a form or text; its bytes when the
    payload has others.

    Raises InvalidInput when the bytes are not what the content type says, Unsupported for a
    charset that is not read.
    """
    if not body:
        return None, {}, None
    kind, semicolon, parameters = (content_type or "").partition(";")
    kind = kind.strip().lower()
    charset = _charset(parameters) if semicolon else "utf-8"
    if kind == "application/json" or kind.endswith("+json"):
        if charset != "utf-8":
            body = _text(body, charset, "the body").encode()
        body = body.removeprefix(_BOM)
        try:
            return ("json", body), orjson.loads(body), None
        except ValueError as error:
            raise InvalidInput(f"the body is not JSON: {error}") from error
    if kind == _FORM:
        # Escapes stand for bytes in the charset, so the text around them is read first.
        text = _text(body, charset, "the form")
        value = query.parse(text, max_fields, charset, strict=True)
        return ("json", orjson.dumps(value)), value, body
    if kind.startswith("text/"):
        text = _text(body, charset, "the text")
        return ("text", body if charset == "utf-8" else text.encode()), text, None
    return ("bytes", body), None, None


def _expected(head: Mapping[str, Any], limit: int) -> bool:
    """Whether a body comes. Raises TooLarge when its length is said and over the limit."""
    length = head.get("content-length")
    if length is None:
        return "transfer-encoding" in head
    if isinstance(length, str) and length.isdecimal() and int(length) > limit:
        raise TooLarge(f"the body has {length} bytes, the limit is {limit}")
    return True


def _charset(parameters: str) -> str:
    """The charset among the parameters of a content type, as Python calls it."""
    for part in parameters.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            given = value.strip().strip('"').lower()
            known = _CHARSETS.get(given)
            if known is None:
                raise Unsupported(f"a body in charset {given:.40} is not read; send it as UTF-8")
            return known
    return "utf-8"


def _text(body: bytes, charset: str, what: str) -> str:
    try:
        return body.decode(charset)
    except UnicodeDecodeError as error:
        name = charset.upper() if charset.startswith("utf") else charset
        raise InvalidInput(f"{what} is not {name}") from error
