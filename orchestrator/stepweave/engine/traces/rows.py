"""How a span and a log record lie in the file, and what people are shown of them.

What nobody filters by is one JSON array: a row with a column for each of it costs three times
as much to write, and every invocation pays that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from stepweave import payload
from stepweave.errors import InvalidInput
from stepweave.logs import LEVELS, RANK, Record
from stepweave.payload import Payload
from stepweave.trace import Preview, Span, now_us

__all__ = [
    "FAILURES",
    "LOG_COLUMNS",
    "SPAN_COLUMNS",
    "ms",
    "pack_log",
    "pack_span",
    "preview",
    "running_span",
    "unpack_log",
    "unpack_span",
]

SPAN_COLUMNS = "trace_id, name, language, failed, attempt, event_id, data"
LOG_COLUMNS = "at, rank, message, fields, trace_id, span_id, step, source"

FAILURES = frozenset({"error", "timeout", "lost"})


def pack_span(span: Span, preview_bytes: int) -> tuple[Any, ...]:
    """The values of SPAN_COLUMNS."""
    data = (
        span.span_id,
        span.parent_id,
        span.kind,
        span.status,
        span.queued_at,
        span.started_at,
        span.ended_at,
        span.topic,
        span.route,
        span.path,
        span.http_status,
        span.error,
        _packed(span.input, preview_bytes),
        _packed(span.output, preview_bytes),
        span.events,
        span.dropped,
    )
    return (
        bytes.fromhex(span.trace_id),
        span.name,
        span.language,
        span.status in FAILURES,
        span.attempt,
        span.event_id,
        orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS).decode(),
    )


def unpack_span(row: Sequence[Any], retried: bool) -> dict[str, Any]:
    """A stored span as people get it, from the values of SPAN_COLUMNS."""
    _, name, language, _, attempt, event_id, data = row
    (
        span_id, parent_id, kind, status, queued_at, started_at, ended_at, topic, route, path,
        http_status, error, given, returned, events, dropped,
    ) = orjson.loads(data)  # fmt: skip
    return {
        "span_id": span_id,
        "parent_id": parent_id,
        "name": name,
        "kind": kind,
        "language": language,
        "attempt": attempt,
        "status": status,
        "retried": retried,
        "queued_at": ms(queued_at),
        "started_at": ms(started_at),
        "ended_at": ms(ended_at) if ended_at else None,
        "wait_ms": ms(started_at - queued_at),
        "duration_ms": ms((ended_at or now_us()) - started_at),
        "topic": topic,
        "event_id": event_id,
        "route": route,
        "path": path,
        "http_status": http_status,
        "error": error,
        "input": _shown(given),
        "output": _shown(returned),
        "events": [{"at": ms(at), "type": type, "detail": detail} for at, type, detail in events],
        "dropped": dropped,
    }


def running_span(span: Span, preview_bytes: int = 1000) -> dict[str, Any]:
    """A span that still runs, in the same form; its `ended_at` is None."""
    return unpack_span(pack_span(span, preview_bytes), retried=False)


def pack_log(record: Record) -> tuple[Any, ...]:
    """The values of LOG_COLUMNS."""
    return (
        record.at,
        RANK.get(record.level, 1),
        record.message,
        record.fields.decode(errors="replace") if record.fields is not None else None,
        bytes.fromhex(record.trace_id) if record.trace_id else None,
        bytes.fromhex(record.span_id) if record.span_id else None,
        record.step,
        record.source,
    )


def unpack_log(id: int, row: Sequence[Any]) -> dict[str, Any]:
    """A stored record as people get it, from the values of LOG_COLUMNS."""
    at, rank, message, fields, trace_id, span_id, step, source = row
    return {
        "id": id,
        "at": at,
        "level": LEVELS[rank],
        "message": message,
        "fields": _parsed(fields),
        "trace_id": trace_id.hex() if trace_id else None,
        "span_id": span_id.hex() if span_id else None,
        "step": step,
        "source": source,
    }


def preview(value: Payload | Preview | None, limit: int) -> Preview | None:
    """The first `limit` bytes of a payload as text, with its full size; 0 keeps no text."""
    if value is None or isinstance(value, Preview):
        return value
    try:
        text = payload.preview(value, limit) if limit else None
    except InvalidInput:
        text = None
    return Preview(value[0], len(value[1]), text)


def ms(microseconds: int) -> float:
    """Unix ms, or a length of time in ms, as people get them."""
    return round(microseconds / 1000, 3)


def _packed(value: Payload | Preview | None, limit: int) -> tuple[Any, ...] | None:
    kept = preview(value, limit)
    return None if kept is None else tuple(kept)


def _shown(preview: Sequence[Any] | None) -> dict[str, Any] | None:
    return None if preview is None else dict(zip(Preview._fields, preview, strict=True))


def _parsed(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
