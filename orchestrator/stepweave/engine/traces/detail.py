"""One trace: its spans in the order of the tree, with all that is kept of them, and its records."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from stepweave.engine.traces import rows, sql
from stepweave.engine.traces.records import LogFilter, logs
from stepweave.trace import Span, now_us

__all__ = ["trace"]

_MOST_LOGS = 10_000


def trace(db: sqlite3.Connection, trace_id: str, running: Sequence[Span]) -> dict[str, Any] | None:
    """One trace with its spans in the order of the tree, and its log records; None if unknown."""
    key = sql.key(trace_id)
    if key is None:
        return None
    stored = db.execute(
        f"SELECT retried, {rows.SPAN_COLUMNS} FROM spans WHERE trace_id = ? ORDER BY id", (key,)
    )
    spans = [rows.unpack_span(row, bool(retried)) for retried, *row in stored]
    known = {span["span_id"] for span in spans}
    spans += [rows.running_span(span) for span in running if span.span_id not in known]
    spans.sort(key=lambda span: span["queued_at"])
    records = logs(db, LogFilter(limit=_MOST_LOGS, trace_id=trace_id))[::-1]
    if not (spans or records):
        return None
    return {**_summary(trace_id, spans), "spans": _in_tree_order(spans), "logs": records}


def _summary(trace_id: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    """The list item of a trace, from its spans in the order of `queued_at`."""
    failed = sum(span["status"] in rows.FAILURES and not span["retried"] for span in spans)
    running = any(span["status"] == "running" for span in spans)
    first = spans[0] if spans else {}
    started = first.get("queued_at")
    ended = (
        rows.ms(now_us()) if running else max((span["ended_at"] for span in spans), default=None)
    )
    return {
        "trace_id": trace_id,
        "name": first.get("name"),
        "kind": first.get("kind"),
        "route": first.get("route"),
        "status": "running" if running else "error" if failed else "ok",
        "started_at": started,
        "duration_ms": None if started is None else round(ended - started, 3),
        "failed": failed,
        "steps": sql.merged([], [span["name"] for span in spans]),
        "languages": sql.merged([], [span["language"] for span in spans]),
    }


def _in_tree_order(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each span after its parent, with its `depth`; one whose parent is unknown is a root."""
    known = {span["span_id"] for span in spans}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in spans:
        parent = span["parent_id"] if span["parent_id"] in known else None
        children.setdefault(parent, []).append(span)
    ordered = []
    waiting = [(span, 0) for span in reversed(children.get(None, []))]
    while waiting:
        span, depth = waiting.pop()
        ordered.append({**span, "depth": depth})
        below = reversed(children.pop(span["span_id"], []))
        waiting += [(child, depth + 1) for child in below]
    # Spans that are each other's parents, which only a foreign traceparent can bring about.
    seen = {span["span_id"] for span in ordered}
    return ordered + [{**span, "depth": 0} for span in spans if span["span_id"] not in seen]
