"""What clients of a stream are told: one JSON document per change, its item spliced in as bytes."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from stepweave import payload
from stepweave.calls import now_ms
from stepweave.engine.streams import Change
from stepweave.errors import InvalidInput
from stepweave.payload import Payload

__all__ = ["Clock", "Message", "change_message", "error_message", "sync_message"]


class Clock:
    """Unix milliseconds that never repeat and never go back.

    Clients drop what is not newer than the last they saw, so a second message in the same
    millisecond gets a fraction.
    """

    def __init__(self) -> None:
        self._last_us = 0

    def tick(self) -> str:
        """The next moment, as a JSON number."""
        self._last_us = us = max(now_ms() * 1000, self._last_us + 1)
        whole, rest = divmod(us, 1000)
        return f"{whole}.{rest:03d}" if rest else str(whole)


class Message:
    """A document for clients. `seq` is the group's number with it, None for an event.

    `frame` and `event` are what the edges send for it, made by the first who needs them.
    """

    __slots__ = ("body", "event", "frame", "seq")

    def __init__(self, body: bytes, seq: int | None) -> None:
        self.body = body
        self.seq = seq
        self.frame: bytes | None = None
        self.event: bytes | None = None


def change_message(change: Change, at: str) -> Message:
    """A change or an event. Raises InvalidInput when its data cannot be shown as JSON."""
    head = _head(at, change.stream, change.group, change.id)
    if change.type == "event":
        data = b"" if change.data is None else b',"data":%b' % _proven(change.data)
        name = orjson.dumps(change.name or "")
        body = b'%b"event":{"type":"event","event":{"type":%b%b}}}' % (head, name, data)
    else:
        item = _item(change.id or "", change.data or payload.NULL)
        body = b'%b"event":{"type":"%b","data":%b}}' % (head, change.type.encode(), item)
    return Message(body, None if change.type == "event" else change.seq)


def sync_message(
    key: tuple[str, str, str | None], items: Iterable[tuple[str, Payload]], seq: int, at: str
) -> Message:
    """All items of a group, or the one item of a room that has an id."""
    stream, group, only = key
    data = b",".join(_item(id, item) for id, item in items)
    if only is None:
        data = b"[%b]" % data
    body = b'%b"event":{"type":"sync","data":%b}}' % (_head(at, stream, group, only), data)
    return Message(body, seq)


def error_message(
    key: tuple[str | None, str | None, str | None], code: str, text: str, at: str
) -> Message:
    """A refusal, in the form of an event named error; what is not known of `key` is left out."""
    stream, group, id = key
    error = orjson.dumps({"type": "error", "data": {"code": code, "message": text}})
    head = _head(at, stream or "", group or "", id)
    return Message(b'%b"event":{"type":"event","event":%b}}' % (head, error), None)


def _head(at: str, stream: str, group: str, id: str | None) -> bytes:
    names = b'"streamName":%b,"groupId":%b,' % (orjson.dumps(stream), orjson.dumps(group))
    own = b"" if id is None else b'"id":%b,' % orjson.dumps(id)
    return b'{"timestamp":%b,%b%b' % (at.encode(), names, own)


def _item(id: str, data: Payload) -> bytes:
    """An item as clients need it, which is an object with its id."""
    text = payload.as_json(data)
    if text[:1] == b"{":
        return text
    return b'{"id":%b,"value":%b}' % (orjson.dumps(id), text)


def _proven(data: Payload) -> bytes:
    """JSON that nothing has looked into since it left its runner."""
    text = payload.as_json(data)
    try:
        orjson.loads(text)
    except ValueError as error:
        raise InvalidInput(f"an event's data is not JSON: {error}") from error
    return text
