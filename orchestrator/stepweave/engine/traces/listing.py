"""The list of traces, filtered, with those that still run.

Spans that still run are not in the file: whoever asks hands them in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from stepweave.engine.traces import rows, sql
from stepweave.trace import Span, now_us

__all__ = ["TraceFilter", "TraceStatus", "traces"]

TraceStatus = Literal["running", "ok", "error"]

_SUMMARY = "trace_id, name, kind, route, started_at, ended_at, spans, failed"


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which traces to list; None asks for nothing in particular. See `TraceStore.traces`."""

    limit: int = 50
    before: float | None = None
    since: float | None = None
    status: TraceStatus | None = None
    steps: Sequence[str] | None = None
    text: str | None = None
    min_duration_ms: float | None = None


def traces(
    db: sqlite3.Connection, wanted: TraceFilter, running: Sequence[Span]
) -> list[dict[str, Any]]:
    """Items of the list of traces, newest first."""
    open_spans = _by_trace(db, running)
    items = [] if wanted.status == "running" else _stored(db, wanted, open_spans)
    if open_spans and wanted.status in (None, "running"):
        items += [item for item in _open(db, open_spans) if _matches(item, wanted, open_spans)]
    items.sort(key=lambda item: item["started_at"], reverse=True)
    return items[: wanted.limit]


def _by_trace(db: sqlite3.Connection, running: Sequence[Span]) -> dict[str, list[Span]]:
    """The running spans by trace, less those that ended and were stored meanwhile."""
    ids = [key for key in {sql.key(span.trace_id) for span in running} if key]
    stored = {
        span_id
        for (span_id,) in db.execute(
            f"SELECT json_extract(data, '$[0]') FROM spans WHERE trace_id IN ({sql.places(ids)})",
            ids,
        )
    }
    found: dict[str, list[Span]] = {}
    for span in running:
        if span.span_id not in stored:
            found.setdefault(span.trace_id, []).append(span)
    return found


def _stored(
    db: sqlite3.Connection, wanted: TraceFilter, running: Iterable[str]
) -> list[dict[str, Any]]:
    """Items of traces none of whose spans still runs."""
    where = sql.Where()
    if ids := [key for key in map(sql.key, running) if key]:
        where.add(f"trace_id NOT IN ({sql.places(ids)})", *ids)
    if wanted.before is not None:
        where.add("started_at < ?", round(wanted.before * 1000))
    if wanted.since is not None:
        where.add("started_at >= ?", round(wanted.since * 1000))
    if wanted.status is not None:
        where.add("failed = 0" if wanted.status == "ok" else "failed > 0")
    if wanted.min_duration_ms is not None:
        where.add("ended_at - started_at >= ?", round(wanted.min_duration_ms * 1000))
    if wanted.steps is not None:
        where.add(sql.of_spans(f"name IN ({sql.places(wanted.steps)})"), *wanted.steps)
    if wanted.text:
        like = sql.like(wanted.text)
        # Inside JSON, quotes and line ends of the text are written another way.
        quoted = sql.like(orjson.dumps(wanted.text).decode()[1:-1])
        in_spans = sql.of_spans("(name LIKE ? ESCAPE '\\' OR data LIKE ? ESCAPE '\\')")
        in_logs = "SELECT 1 FROM logs WHERE logs.trace_id = traces.trace_id AND message LIKE ?"
        where.add(
            f"(hex(trace_id) LIKE ? ESCAPE '\\' OR {in_spans} OR EXISTS ({in_logs} ESCAPE '\\'))",
            like,
            like,
            quoted,
            like,
        )
    found = db.execute(
        f"SELECT {_SUMMARY} FROM traces {where} ORDER BY started_at DESC LIMIT ?",
        (*where.values, wanted.limit),
    ).fetchall()
    return _items(db, found)


def _open(db: sqlite3.Connection, running: dict[str, list[Span]]) -> list[dict[str, Any]]:
    """Items of traces that still run, with what the file has of them already."""
    keys = [key for key in map(sql.key, running) if key]
    found = db.execute(
        f"SELECT {_SUMMARY} FROM traces WHERE trace_id IN ({sql.places(keys)})", keys
    ).fetchall()
    items = {item["trace_id"]: item for item in _items(db, found)}
    now = now_us()
    for trace_id, spans in running.items():
        first = min(spans, key=lambda span: span.queued_at)
        item = items.get(trace_id)
        if item is None or rows.ms(first.queued_at) < item["started_at"]:
            old = item or {"spans": 0, "failed": 0, "steps": [], "languages": []}
            item = items[trace_id] = {
                **old,
                "trace_id": trace_id,
                "name": first.name,
                "kind": first.kind,
                "route": first.route,
                "started_at": rows.ms(first.queued_at),
            }
        item["status"] = "running"
        item["duration_ms"] = round(rows.ms(now) - item["started_at"], 3)
        item["spans"] += len(spans)
        item["steps"] = sql.merged(item["steps"], [span.name for span in spans])
        item["languages"] = sql.merged(item["languages"], [span.language for span in spans])
    return list(items.values())


def _matches(item: dict[str, Any], wanted: TraceFilter, running: dict[str, list[Span]]) -> bool:
    if wanted.before is not None and item["started_at"] >= wanted.before:
        return False
    if wanted.since is not None and item["started_at"] < wanted.since:
        return False
    if wanted.min_duration_ms is not None and item["duration_ms"] < wanted.min_duration_ms:
        return False
    if wanted.steps is not None and not set(wanted.steps).intersection(item["steps"]):
        return False
    if wanted.text:
        words = [item["trace_id"], *item["steps"]]
        for span in running[item["trace_id"]]:
            words += [span.topic or "", span.route or "", span.path or ""]
        return wanted.text.lower() in " ".join(words).lower()
    return True


def _items(db: sqlite3.Connection, found: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """List items from rows of `traces`, with the steps and languages that took part."""
    parts: dict[bytes, tuple[list[str], list[str]]] = {row[0]: ([], []) for row in found}
    for trace_id, name, language in db.execute(
        f"SELECT trace_id, name, language FROM spans WHERE trace_id IN ({sql.places(found)})"
        " GROUP BY trace_id, name, language ORDER BY min(id)",
        [row[0] for row in found],
    ):
        steps, languages = parts[trace_id]
        steps[:] = sql.merged(steps, [name])
        languages[:] = sql.merged(languages, [language])
    return [
        {
            "trace_id": trace_id.hex(),
            "name": name,
            "kind": kind,
            "route": route,
            "status": "error" if failed else "ok",
            "started_at": rows.ms(started),
            "duration_ms": rows.ms(ended - started),
            "spans": spans,
            "failed": failed,
            "steps": parts[trace_id][0],
            "languages": parts[trace_id][1],
        }
        for trace_id, name, kind, route, started, ended, spans, failed in found
    ]
