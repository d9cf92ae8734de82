"""Server-sent events: the answer whose body is a list or generator of events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from stepweave_runner import values

__all__ = ["sse"]

_FIELDS = ("event", "id", "retry", "data")
_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    # Else nginx keeps events back.
    "x-accel-buffering": "no",
}


def sse(events: Any, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A response of server-sent events, each {"data", "event"?, "id"?, "retry"?} or a text.

    Data that is not text is sent as JSON. Raises TypeError for what cannot be gone through.
    """
    if hasattr(type(events), "__aiter__"):
        body: Any = _from_async(events)
    elif isinstance(events, (str, bytes, Mapping)) or not hasattr(type(events), "__iter__"):
        raise TypeError(f"sse needs a list or generator of events, not {events!r:.80}")
    else:
        body = _from_plain(events)
    return {"status": 200, "headers": {**_HEADERS, **(headers or {})}, "body": body}


async def _from_async(events: Any) -> AsyncIterator[str]:
    try:
        async for event in events:
            yield _written(event)
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def _from_plain(events: Any) -> Iterator[str]:
    try:
        for event in events:
            yield _written(event)
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()


def _written(event: Any) -> str:
    fields = event if isinstance(event, Mapping) else {"data": event}
    unknown = [name for name in fields if name not in _FIELDS]
    if unknown or not fields:
        raise ValueError(f"an event has data, event, id and retry, not {event!r:.80}")
    lines = []
    for name in _FIELDS:
        value = fields.get(name)
        if name == "data" and name in fields:
            lines += [f"data: {line}" for line in _text(value).split("\n")]
        elif value is not None:
            line = _text(value)
            if "\n" in line or "\0" in line:
                raise ValueError(f"the {name} of an event is one line, not {line!r:.80}")
            if name == "retry" and not line.isdigit():
                raise ValueError(
                    f"the retry of an event is in whole milliseconds, not {line!r:.80}"
                )
            lines.append(f"{name}: {line}")
    return "\n".join(lines) + "\n\n"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        value = values.encode_json(value)[1].decode()
    text: str = value
    return text.replace("\r\n", "\n").replace("\r", "\n")
