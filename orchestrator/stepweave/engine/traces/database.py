"""The file of spans and log records: its tables, how batches get in and how old ones leave.

All of this runs on the trace store's writer thread.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import orjson

from stepweave.engine.traces import rows
from stepweave.logs import Record
from stepweave.trace import Span

__all__ = ["TRACES_A_STEP", "connect", "insert_logs", "insert_spans", "set_aside", "size", "trim"]

VERSION = 1

# No GIL is held while SQLite runs a statement, and getting it back from a busy loop takes until
# the loop's next system call. So a statement inserts many rows: with one row each, the writer
# falls behind a loop at full load.
_ROWS = 50

# Trimming one step at a time keeps the writer free for what comes in.
TRACES_A_STEP = 200
_LOGS_A_STEP = 2000
_PAGES_A_STEP = 512

_SCHEMA = """
CREATE TABLE traces (
    trace_id BLOB PRIMARY KEY, name TEXT, kind TEXT, route TEXT,
    started_at INTEGER, ended_at INTEGER, spans INTEGER, failed INTEGER
) WITHOUT ROWID;
CREATE INDEX traces_started ON traces (started_at);
CREATE INDEX traces_ended ON traces (ended_at);
CREATE TABLE spans (
    id INTEGER PRIMARY KEY, trace_id BLOB, name TEXT, language TEXT,
    failed INTEGER, attempt INTEGER, event_id TEXT, data TEXT, retried INTEGER DEFAULT 0
);
CREATE INDEX spans_trace ON spans (trace_id);
CREATE TABLE logs (
    id INTEGER PRIMARY KEY, at INTEGER, rank INTEGER, message TEXT, fields TEXT,
    trace_id BLOB, span_id BLOB, step TEXT, source TEXT
);
CREATE INDEX logs_at ON logs (at);
CREATE INDEX logs_trace ON logs (trace_id) WHERE trace_id IS NOT NULL;
"""

# The root of a trace is the span that began first: everything else it caused.
_TRACE_COLUMNS = "trace_id, name, kind, route, started_at, ended_at, spans, failed"
_MERGE_TRACE = """
ON CONFLICT (trace_id) DO UPDATE SET
    name = CASE WHEN excluded.started_at < started_at THEN excluded.name ELSE name END,
    kind = CASE WHEN excluded.started_at < started_at THEN excluded.kind ELSE kind END,
    route = CASE WHEN excluded.started_at < started_at THEN excluded.route ELSE route END,
    started_at = min(started_at, excluded.started_at),
    ended_at = max(ended_at, excluded.ended_at),
    spans = spans + excluded.spans,
    failed = failed + excluded.failed
"""

_OLDEST_TRACES = "SELECT trace_id FROM traces WHERE ended_at < ? ORDER BY ended_at LIMIT ?"

_T = TypeVar("_T")


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, making it and its tables if need be.

    Raises sqlite3.DatabaseError if it is damaged or of another version.
    """
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA journal_size_limit = 16777216")
        if version == 0:
            # Another process may be making the same file: only one of them makes the tables.
            db.execute("BEGIN IMMEDIATE")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
                version = VERSION
            db.execute("COMMIT")
        if version != VERSION:
            raise sqlite3.DatabaseError(f"it has version {version}, not {VERSION}")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, in place of the one set aside before; its new path."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
    return aside


def insert_spans(db: sqlite3.Connection, spans: Sequence[Span], preview_bytes: int) -> None:
    """Add finished spans, and bring the summaries of their traces up to date."""
    traces: dict[str, list[Any]] = {}
    for span in spans:
        failed = span.status in rows.FAILURES
        seen = traces.get(span.trace_id)
        if seen is None:
            traces[span.trace_id] = [
                bytes.fromhex(span.trace_id),
                span.name,
                span.kind,
                span.route,
                span.queued_at,
                span.ended_at,
                1,
                int(failed),
            ]
            continue
        if span.queued_at < seen[4]:
            seen[1:5] = span.name, span.kind, span.route, span.queued_at
        seen[5] = max(seen[5], span.ended_at)
        seen[6] += 1
        seen[7] += failed
    packed = (rows.pack_span(span, preview_bytes) for span in spans)
    _insert(db, "spans", rows.SPAN_COLUMNS, packed)
    _insert(db, "traces", _TRACE_COLUMNS, traces.values(), _MERGE_TRACE)
    for span in spans:
        if span.attempt > 1:
            _forgive(db, span)


def insert_logs(db: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Add log records in the order given."""
    _insert(db, "logs", rows.LOG_COLUMNS, map(rows.pack_log, records))


def trim(db: sqlite3.Connection, oldest_us: int, max_size: int) -> tuple[list[str], bool]:
    """Take one step towards the limits: (ids of traces removed, whether there is more to do).

    Removes what ended before `oldest_us`, or the oldest of all while the file is over `max_size`.
    """
    over = size(db) > max_size
    if over:
        oldest_us = max(oldest_us, _oldest_step(db))
    with _transaction(db):
        (found,) = db.execute(
            f"SELECT json_group_array(lower(hex(trace_id))) FROM ({_OLDEST_TRACES})",
            (oldest_us, TRACES_A_STEP),
        ).fetchone()
        for table in ("spans", "traces"):
            db.execute(
                f"DELETE FROM {table} WHERE trace_id IN ({_OLDEST_TRACES})",
                (oldest_us, TRACES_A_STEP),
            )
        logs = db.execute(
            "DELETE FROM logs WHERE id IN (SELECT id FROM logs WHERE at < ? ORDER BY at LIMIT ?)",
            (oldest_us // 1000, _LOGS_A_STEP),
        ).rowcount
    ids: list[str] = orjson.loads(found)
    if ids or logs:
        # `execute` would free a single page: this pragma does one with each row it steps to.
        db.executescript(f"PRAGMA incremental_vacuum({_PAGES_A_STEP})")
    more = over and bool(ids or logs)
    return ids, more or len(ids) == TRACES_A_STEP or logs == _LOGS_A_STEP


def size(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    pages, free, page = (
        db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * page)


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _insert(
    db: sqlite3.Connection,
    table: str,
    columns: str,
    values: Iterable[Sequence[Any]],
    conflict: str = "",
) -> None:
    row = f"({', '.join('?' for _ in columns.split(','))})"
    for chunk in _chunks(values, _ROWS):
        places = ", ".join([row] * len(chunk))
        db.execute(
            f"INSERT INTO {table} ({columns}) VALUES {places} {conflict}",
            [value for row_values in chunk for value in row_values],
        )


def _chunks(items: Iterable[_T], length: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, length)):
        yield chunk


def _forgive(db: sqlite3.Connection, span: Span) -> None:
    """Let only the last attempt of an event decide whether its trace failed."""
    trace_id = bytes.fromhex(span.trace_id)
    db.execute(
        "UPDATE spans SET retried = 1 WHERE trace_id = ? AND name = ? AND event_id IS ?"
        " AND attempt < ?",
        (trace_id, span.name, span.event_id, span.attempt),
    )
    db.execute(
        "UPDATE traces SET failed = (SELECT count(*) FROM spans WHERE trace_id = ?"
        " AND failed AND NOT retried) WHERE trace_id = ?",
        (trace_id, trace_id),
    )


def _oldest_step(db: sqlite3.Connection) -> int:
    """The Unix µs before which one step's worth of the oldest traces and records lies."""
    trace = db.execute(
        "SELECT ended_at + 1 FROM traces ORDER BY ended_at LIMIT 1 OFFSET ?", (TRACES_A_STEP - 1,)
    ).fetchone()
    log = db.execute(
        "SELECT (at + 1) * 1000 FROM logs ORDER BY at LIMIT 1 OFFSET ?", (_LOGS_A_STEP - 1,)
    ).fetchone()
    found = [row[0] for row in (trace, log) if row]
    if found:
        return int(min(found))
    # Less than a step of either: let the older half go, by time.
    low, high = db.execute(
        "SELECT min(low), max(high) FROM (SELECT min(ended_at) low, max(ended_at) high FROM traces"
        " UNION ALL SELECT min(at) * 1000, max(at) * 1000 FROM logs)"
    ).fetchone()
    return (low + high) // 2 + 1 if low is not None else 0
