"""The trace store: keeps spans and log records of the last days, and answers questions about them.

It may lose its last moments to a power cut, and under a flood it drops records (and counts
them) before it holds anybody up: traces are for people, and people have moved on.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio.to_thread

from stepweave.engine.traces import database, detail, listing, records, rows
from stepweave.errors import StoreFailed
from stepweave.logs import Level, Record
from stepweave.payload import Payload
from stepweave.trace import Preview, Span

__all__ = ["Settings", "Statistics", "TraceStore"]

_T = TypeVar("_T")

_BATCH = 500  # items that are written without waiting for more
_MOST = 5000  # items of one transaction
_GATHER_S = 0.1
_IDLE_S = 30.0
_HOLD = 64 * 1024  # bytes of a payload that may wait in the queue to be cut


class Settings(Protocol):
    """The `[traces]` section of a project, as far as it matters here."""

    @property
    def enabled(self) -> bool: ...
    @property
    def retention_hours(self) -> float: ...
    @property
    def max_mb(self) -> float: ...
    @property
    def preview_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the store was opened; `waiting` and `size` (bytes on disk) are of now."""

    spans: int
    logs: int
    dropped_spans: int
    dropped_logs: int
    lost_to_errors: int
    trimmed_traces: int
    running: int
    waiting: int
    size: int


class TraceStore:
    """Spans and log records on disk. Is a `logs.Sink`.

    `add_span`, `add_log` and `open_span` are for the loop's thread and cost about a microsecond;
    a thread of its own writes in batches. Reads see everything added before them and run in
    worker threads. `warn` gets a sentence when the file had to be replaced or cannot be written,
    `on_trimmed` the ids of traces that left; both are called on the writer thread.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        *,
        warn: Callable[[str], None] = lambda message: None,
        on_trimmed: Callable[[list[str]], None] = lambda trace_ids: None,
        capacity: int = 50_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open the file, or a new one in place of a damaged one.

        `capacity` is the number of items that may wait to be written; log records get half.
        Raises StoreFailed if there can be no file at that path at all.
        """
        self.path = path
        self._settings = settings
        self._warn = warn
        self._on_trimmed = on_trimmed
        self._capacity = capacity
        self._log_capacity = capacity // 2
        self._now = now
        self._running: dict[str, Span] = {}
        self._queue: queue.SimpleQueue[Span | Record | threading.Event | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._reading = threading.Lock()
        self._closed = False
        self._warned_at = 0.0
        self._trim_at = 0.0
        self._spans = self._logs = self._dropped_spans = self._dropped_logs = 0
        self._lost = self._trimmed = 0
        self._db = self._open()
        self._reader: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="stepweave traces", daemon=True)
        self._thread.start()

    # --- writing

    def open_span(self, span: Span) -> None:
        """Show a span as running until it is added."""
        if self._settings.enabled:
            self._running[span.span_id] = span

    def add_span(self, span: Span) -> None:
        """Keep a finished span; it must not be changed any more."""
        if not self._settings.enabled:
            return
        self._running.pop(span.span_id, None)
        waiting = self._queue.qsize()
        if waiting >= self._capacity:
            self._dropped_spans += 1
            return
        span.input = _held(span.input, self._settings.preview_bytes)
        span.output = _held(span.output, self._settings.preview_bytes)
        self._queue.put(span)
        if waiting == _BATCH:
            self._hurry.set()

    def add_log(self, record: Record) -> None:
        """Keep a log record, from any thread."""
        waiting = self._queue.qsize()
        if waiting >= self._log_capacity:
            self._dropped_logs += 1
            return
        self._queue.put(record)
        if waiting == _BATCH:
            self._hurry.set()

    async def flush(self) -> None:
        """Wait until everything added so far can be read by others too."""
        await anyio.to_thread.run_sync(self._sync)

    def close(self) -> None:
        """Write what waits and close the file; blocks for as long as that takes."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._hurry.set()
        self._thread.join()
        self._db.close()
        with self._reading:
            if self._reader is not None:
                self._reader.close()

    # --- reading

    async def traces(
        self,
        *,
        limit: int = 50,
        before: float | None = None,
        since: float | None = None,
        status: listing.TraceStatus | None = None,
        steps: Collection[str] | None = None,
        text: str | None = None,
        min_duration_ms: float | None = None,
    ) -> list[dict[str, Any]]:
        """Traces, newest first: those that began before `before` and not before `since` (Unix ms).

        `steps`: at least one of these took part. `text` is looked for in names, topics, routes,
        payload previews, errors, log messages and trace ids.
        """
        wanted = listing.TraceFilter(
            limit, before, since, status, None if steps is None else list(steps), text,
            min_duration_ms,
        )  # fmt: skip
        running = list(self._running.values())
        return await self._read(lambda db: listing.traces(db, wanted, running))

    async def trace(self, trace_id: str) -> dict[str, Any] | None:
        """One trace, its `spans` (each after its parent, with a `depth`) and `logs`; or None."""
        running = [span for span in self._running.values() if span.trace_id == trace_id]
        return await self._read(lambda db: detail.trace(db, trace_id, running))

    async def logs(
        self,
        *,
        limit: int = 200,
        before: int | None = None,
        after: int | None = None,
        level: Level | None = None,
        steps: Collection[str] | None = None,
        trace_id: str | None = None,
        text: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> list[dict[str, Any]]:
        """Log records, newest first; with `after` the ones that followed it, oldest first.

        `before` and `after` are record ids, `since` and `until` Unix ms, `level` the least.
        `text` is looked for in message and fields.
        """
        wanted = records.LogFilter(
            limit, before, after, level, None if steps is None else list(steps), trace_id, text,
            since, until,
        )  # fmt: skip
        return await self._read(lambda db: records.logs(db, wanted))

    def statistics(self) -> Statistics:
        """How much came, went and waits."""
        size = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                size += self.path.with_name(self.path.name + suffix).stat().st_size
        return Statistics(
            self._spans,
            self._logs,
            self._dropped_spans,
            self._dropped_logs,
            self._lost,
            self._trimmed,
            len(self._running),
            self._queue.qsize(),
            size,
        )

    # --- parts

    async def _read(self, ask: Callable[[sqlite3.Connection], _T]) -> _T:
        def work() -> _T:
            self._sync()
            with self._reading:
                if self._reader is None:
                    self._reader = database.connect(self.path)
                    self._reader.execute("PRAGMA query_only = 1")
                return ask(self._reader)

        try:
            return await anyio.to_thread.run_sync(work)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self.path}: cannot be read: {error}") from error

    def _sync(self) -> None:
        if self._closed:
            return
        done = threading.Event()
        self._queue.put(done)
        self._hurry.set()
        done.wait()

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return database.connect(self.path)
            except sqlite3.OperationalError:
                raise  # no rights, no space, in use: not the file's fault
            except sqlite3.DatabaseError as error:
                aside = database.set_aside(self.path)
                self._warn(f"{self.path}: cannot be used ({error}); set aside as {aside.name}")
                return database.connect(self.path)
        except (OSError, sqlite3.Error) as error:
            raise StoreFailed(f"{self.path}: the trace file cannot be opened: {error}") from error

    def _run(self) -> None:
        going = True
        while going:
            try:
                # Trimming that is not done goes on while nothing comes in.
                batch = [self._queue.get(timeout=_IDLE_S if self._trim_at else _GATHER_S)]
            except queue.Empty:
                self._trim()
                continue
            if self._queue.qsize() < _BATCH:
                self._hurry.wait(_GATHER_S)
            self._hurry.clear()
            with contextlib.suppress(queue.Empty):
                while len(batch) < _MOST:
                    batch.append(self._queue.get_nowait())
            going = None not in batch
            self._write(
                [item for item in batch if isinstance(item, Span)],
                [item for item in batch if isinstance(item, Record)],
            )
            if going:
                self._keep_up(len(batch))
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()

    def _write(self, spans: list[Span], records: list[Record]) -> None:
        if not (spans or records):
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if spans:
                database.insert_spans(self._db, spans, self._settings.preview_bytes)
            if records:
                database.insert_logs(self._db, records)
            self._db.execute("COMMIT")
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            count = len(spans) + len(records)
            if count == 1 or _is_of_the_file(error):
                self._failed(error, count)
                return
            # Something in the batch cannot be stored: lose that alone.
            for span in spans:
                self._write([span], [])
            for record in records:
                self._write([], [record])
            return
        self._spans += len(spans)
        self._logs += len(records)

    def _keep_up(self, written: int) -> None:
        """Trim if it is time; over the limit of the file, as much as came, so that a flood does
        not outrun it."""
        with contextlib.suppress(sqlite3.Error):
            if database.size(self._db) > self._settings.max_mb * 1_000_000:
                self._trim_at = 0.0
        for _ in range(1 + 2 * written // database.TRACES_A_STEP):
            if time.monotonic() < self._trim_at:
                return
            self._trim()

    def _trim(self) -> None:
        oldest = self._now() - self._settings.retention_hours * 3600
        limit = int(self._settings.max_mb * 1_000_000)
        try:
            gone, more = database.trim(self._db, int(oldest * 1_000_000), limit)
        except sqlite3.Error as error:
            self._failed(error, 0)
            return
        self._trim_at = 0.0 if more else time.monotonic() + _IDLE_S
        self._trimmed += len(gone)
        if gone:
            self._on_trimmed(gone)

    def _failed(self, error: Exception, count: int) -> None:
        """Count what was lost, say it at most once a minute, and replace a damaged file."""
        self._lost += count
        now = time.monotonic()
        if now >= self._warned_at:
            self._warned_at = now + 60
            self._warn(f"{self.path}: {count} spans and log records are lost: {error}")
        if type(error) is sqlite3.DatabaseError:
            with self._reading, contextlib.suppress(OSError, StoreFailed):
                self._db.close()
                if self._reader is not None:
                    self._reader.close()
                    self._reader = None
                database.set_aside(self.path)
                self._db = self._open()


def _is_of_the_file(error: Exception) -> bool:
    """Whether any batch would have failed: no space, no rights, in use, damaged."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def _held(value: Payload | Preview | None, limit: int) -> Payload | Preview | None:
    """A payload that may wait in the queue: itself, or only its beginning if it is large."""
    if value is None or isinstance(value, Preview) or len(value[1]) <= _HOLD:
        return value
    if value[0] == "msgpack":
        return Preview(value[0], len(value[1]), None)  # showing it means decoding all of it
    return rows.preview(value, limit)
