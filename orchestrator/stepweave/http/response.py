"""Answers on the wire: a handler's own, and the JSON errors of the edge."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from stepweave import payload
from stepweave.errors import InvalidInput

__all__ = [
    "Head", "Reply", "Send", "error_reply", "from_handler", "has_body", "identify", "on_the_wire",
    "send_reply", "stream_head",
]  # fmt: skip

Send = Callable[[dict[str, Any]], Awaitable[None]]
Head = list[tuple[bytes, bytes]]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The server's own: about the connection, the length, the moment and the trace of this answer.
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-trace-id",
    }
)
_CONTENT_TYPES = {
    "json": b"application/json",
    "msgpack": b"application/json",
    "text": b"text/html; charset=utf-8",
    "bytes": b"application/octet-stream",
}
_NO_BODY = (204, 205, 304)
_NO_LENGTH = (204, 304)
_JSON_TYPE = (b"content-type", b"application/json")


class Reply:
    """A whole answer: status, headers and body bytes."""

    __slots__ = ("body", "head", "status")

    def __init__(self, status: int, head: Head, body: bytes) -> None:
        self.status = status
        self.head = head
        self.body = body


def from_handler(result: Any) -> Reply:
    """The answer that an API step returned.

    Raises InvalidInput when the status or a header cannot be sent; the handler is at fault.
    """
    if not isinstance(result, dict):
        raise InvalidInput("an API step answers with {status, headers, body}")
    status = _status(result.get("status"))
    head: Head = []
    given = result.get("headers")
    typed = False
    if given:
        typed = _add_headers(head, given)
    body = payload.check(result.get("body"))
    if body is None or status in _NO_BODY:
        data = b""
    else:
        if not typed:
            head.append((b"content-type", _CONTENT_TYPES[body[0]]))
        data = payload.as_json(body) if body[0] == "msgpack" else body[1]
    if status not in _NO_LENGTH:
        head.append((b"content-length", b"%d" % len(data)))
    return Reply(status, head, data)


def stream_head(status: Any, headers: Any) -> Head:
    """The head of an answer in parts; raises InvalidInput as `from_handler` does."""
    head: Head = []
    typed = False
    if headers:
        typed = _add_headers(head, headers)
    if _status(status) not in _NO_BODY and not typed:
        head.append((b"content-type", _CONTENT_TYPES["bytes"]))
    return head


def has_body(status: int) -> bool:
    """Whether an answer with this status may have a body."""
    return status not in _NO_BODY


def error_reply(status: int, error: str, **more: Any) -> Reply:
    """A JSON error: {"error": text, …}."""
    data = orjson.dumps({"error": error, **more})
    return Reply(status, [_JSON_TYPE, (b"content-length", b"%d" % len(data))], data)


def on_the_wire(
    status: int, lines: Iterable[tuple[bytes, bytes]], body: bytes, *, close: bool
) -> bytes:
    """A whole answer as HTTP/1.1 writes it; `close` if it is the last one of its connection."""
    parts = [STATUS_LINE[status]]
    for name, value in lines:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"connection: close\r\n\r\n" if close else b"\r\n")
    parts.append(body)
    return b"".join(parts)


async def send_reply(
    send: Send,
    reply: Reply,
    trace_id: str,
    request_id: str | None = None,
    *,
    head_only: bool = False,
) -> None:
    """Write an answer; every one carries its trace id and a request id.

    That one is the handler's, else the caller's, else the trace id.
    """
    head = reply.head
    identify(head, trace_id, request_id)
    await send({"type": "http.response.start", "status": reply.status, "headers": head})
    await send({"type": "http.response.body", "body": b"" if head_only else reply.body})


def identify(head: Head, trace_id: str, request_id: str | None) -> None:
    """Append the ids of an answer, but no request id where the handler has set one."""
    trace = trace_id.encode()
    for name, _ in head:
        if name == b"x-request-id":
            break
    else:
        head.append((b"x-request-id", request_id.encode() if request_id else trace))
    head.append((b"x-trace-id", trace))


def _status(status: Any) -> int:
    if type(status) is not int or not 200 <= status <= 599:
        raise InvalidInput(f"status must be a number from 200 to 599, not {status!r}")
    return status


def _add_headers(head: Head, given: Any) -> bool:
    """Append a handler's headers but those that are null or the server's own.

    Answers whether a content type is among them.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(f"headers must be an object, not {type(given).__name__}")
    typed = False
    for name, value in given.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise InvalidInput(f"header name {name!r} has characters that HTTP does not allow")
        lower = name.lower()
        if lower in _OURS:
            continue
        for one in value if isinstance(value, list | tuple) else (value,):
            if one is None:
                continue
            text = one if isinstance(one, str) else _text(name, one)
            if _CONTROL.search(text):
                raise InvalidInput(f"header {name} holds a line break or control sign: {text!r}")
            typed = typed or lower == "content-type"
            try:
                head.append((lower.encode(), text.encode("latin-1")))
            except UnicodeEncodeError:
                head.append((lower.encode(), text.encode()))
    return typed


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise InvalidInput(f"header {name} must be text or a list of texts, not {value!r:.80}")
