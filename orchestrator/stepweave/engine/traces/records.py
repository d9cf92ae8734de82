"""The stored log records, filtered."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepweave.engine.traces import rows, sql
from stepweave.logs import RANK, Level

__all__ = ["LogFilter", "logs"]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which records to list; None asks for nothing in particular. See `TraceStore.logs`."""

    limit: int = 200
    before: int | None = None
    after: int | None = None
    level: Level | None = None
    steps: Sequence[str] | None = None
    trace_id: str | None = None
    text: str | None = None
    since: float | None = None
    until: float | None = None


def logs(db: sqlite3.Connection, wanted: LogFilter) -> list[dict[str, Any]]:
    """Log records, newest first, or oldest first when asked for those after one."""
    where = sql.Where()
    if wanted.before is not None:
        where.add("id < ?", wanted.before)
    if wanted.after is not None:
        where.add("id > ?", wanted.after)
    if wanted.level is not None:
        where.add("rank >= ?", RANK[wanted.level])
    if wanted.steps is not None:
        where.add(f"step IN ({sql.places(wanted.steps)})", *wanted.steps)
    if wanted.trace_id is not None:
        where.add("trace_id = ?", sql.key(wanted.trace_id))
    if wanted.since is not None:
        where.add("at >= ?", wanted.since)
    if wanted.until is not None:
        where.add("at <= ?", wanted.until)
    if wanted.text:
        like = sql.like(wanted.text)
        where.add("(message LIKE ? ESCAPE '\\' OR fields LIKE ? ESCAPE '\\')", like, like)
    order = "DESC" if wanted.after is None else "ASC"
    found = db.execute(
        f"SELECT id, {rows.LOG_COLUMNS} FROM logs {where} ORDER BY id {order} LIMIT ?",
        (*where.values, wanted.limit),
    )
    return [rows.unpack_log(id, row) for id, *row in found]
