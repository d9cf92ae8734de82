"""The embedded store: one SQLite file, committed once a turn of the loop, read on the loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from stepweave.calls import now_ms
from stepweave.engine.store import listing, opening
from stepweave.engine.store.checkpoints import Checkpoints
from stepweave.engine.store.contract import (
    CronState,
    DeadLetter,
    Done,
    Pending,
    StateGroup,
    StateRow,
    StoredEvent,
    Waiting,
)
from stepweave.engine.store.long_reads import LongReads
from stepweave.engine.store.operations import Operation, Start
from stepweave.engine.store.overlay import UNKNOWN, Overlay
from stepweave.engine.store.syncer import Syncer
from stepweave.engine.store.writer import Reader, Unit, Writer
from stepweave.errors import StepweaveError, StoreFailed
from stepweave.payload import Payload

__all__ = ["Durability", "SqliteStore"]

Durability = Literal["edge", "commit", "process"]
"""When a commit is synced to disk: before an answer leaves, at each commit, or never explicitly."""

_T = TypeVar("_T")

_GET_STATE = (
    "SELECT format, value FROM state WHERE grp=? AND key=? AND (expires_at IS NULL OR expires_at>?)"
)
_GROUPS = "SELECT DISTINCT grp FROM state WHERE expires_at IS NULL OR expires_at>? ORDER BY grp"
_GET_ITEM = "SELECT format, value FROM stream_items WHERE stream=? AND grp=? AND id=?"
_GROUP_SEQ = "SELECT seq FROM stream_groups WHERE stream=? AND grp=?"
_LIST_ITEMS = "SELECT id, format, value FROM stream_items WHERE stream=? AND grp=? ORDER BY born"
_SWEEP_S = 60.0
_FEW = 2
"""So many answers that wait for the disk are worth holding the loop up for a quick one."""
_AT_REST_S = 0.002
"""With so long between two syncs nothing competes with a thread for the interpreter."""
_LOG = 4000
"""Operations after which the log is moved into the main file."""
_STARTS_KEPT_MS = 86_400_000
"""As long as the longest window of a throttle."""


class SqliteStore:
    """Store (engine.store.contract) over `folder/stepweave.sqlite`.

    Open it inside a running event loop; every call and every `done` happens on that loop.
    Raises StoreFailed when the file cannot be opened, is damaged, or another Stepweave holds
    the folder; a damaged file is never replaced.
    """

    def __init__(self, folder: Path, durability: Durability = "edge") -> None:
        self._loop = asyncio.get_running_loop()
        self._path = folder / "stepweave.sqlite"
        self._lock = opening.claim(folder)
        try:
            write = opening.connect(self._path)
            self._read = opening.connect(self._path)
            self._read.execute("PRAGMA query_only=1")
        except StoreFailed:
            os.close(self._lock)
            raise
        self._overlay = Overlay()
        self._tick: list[Unit] = []
        self._sequence = 0
        self._resolved = 0
        self._synced = 0
        self._sync_waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._sync_ended = 0.0
        self._closed = False
        self._writer = Writer(write)
        self._checkpoints = Checkpoints(self._path, self._moved)
        self._long_reads = LongReads(self._path)
        self._syncer: Syncer | None = None
        self._sync_first = durability == "commit"
        self._unsynced: deque[list[Unit]] = deque()
        if durability != "process":
            self._syncer = Syncer(self._path, lambda: self._writer.committed, self._synced_to)
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    @property
    def last_sequence(self) -> int:
        """The number of the newest unit submitted."""
        return self._sequence

    @property
    def settled(self) -> int:
        """The number of the newest unit whose outcome is known."""
        return self._resolved

    # --- writing

    def submit(self, operations: Sequence[Operation], done: Done | None = None) -> int:
        """Take a unit; see Store.submit."""
        self._sequence = sequence = self._sequence + 1
        self._overlay.add(operations)
        self._hand_over(Unit(sequence, operations, done))
        return sequence

    async def apply(self, operations: Sequence[Operation]) -> list[Any]:
        """Submit a unit and wait for its results. Raises what the store raises."""
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self.submit(operations, _into(future))
        return await future

    def _hand_over(self, unit: Unit) -> None:
        if self._closed:
            self._loop.call_soon(_answer, unit, StoreFailed("the store is closed"))
            return
        if not self._tick:
            self._loop.call_soon(self._turn)
        self._tick.append(unit)

    def _turn(self) -> None:
        """Commit what has gathered in this turn of the loop."""
        units, self._tick = self._tick, []
        self._writer.commit(units)
        if self._writer.written >= _LOG:
            self._writer.written = 0
            self._checkpoints.want()
        if self._sync_first and self._syncer is not None and any(u.operations for u in units):
            self._unsynced.append(units)
            self._syncer.want()
        elif self._unsynced:
            self._unsynced.append(units)
        else:
            self._resolve(units)

    def _resolve(self, units: list[Unit]) -> None:
        self._resolved = units[-1].sequence
        settle = self._overlay.settle
        for unit in units:
            if unit.reader is None:
                settle(unit.operations)
            if unit.done is not None:
                try:
                    unit.done(unit.error, unit.results)
                except Exception as error:
                    # Whoever waits for the other units is not to suffer from it.
                    text = "an answer of the store was not taken"
                    self._loop.call_exception_handler({"message": text, "exception": error})

    # --- durability

    def synced(self, sequence: int) -> bool:
        """Whether this unit survives a power cut, or the setting does not ask for it."""
        return self._syncer is None or sequence <= self._synced

    async def sync(self, sequence: int) -> None:
        """Wait until this unit survives a power cut; see Store.sync."""
        if self._syncer is None:
            return
        if sequence > self._resolved:
            await self.apply(())
        if sequence <= self._synced:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._sync_waiters.append((sequence, future))
        if len(self._sync_waiters) > 1:
            self._syncer.want()
        else:
            self._loop.call_soon(self._sync_soon, self._syncer)
        await future

    def _sync_soon(self, syncer: Syncer) -> None:
        """Sync at the end of a turn in which somebody asked.

        Here if the disk is quick and few wait, since a thread would have to get the interpreter
        three times meanwhile; but at rest a thread gets it at once, and what the event brought
        about goes on beside it.
        """
        rested = self._loop.time() - self._sync_ended > _AT_REST_S
        if 0 < len(self._sync_waiters) <= _FEW and syncer.quick and not rested:
            sequence = self._writer.committed
            self._sync_done(sequence, syncer.here())
        elif self._sync_waiters:
            syncer.want()

    def _synced_to(self, sequence: int, error: OSError | sqlite3.Error | None) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._sync_done, sequence, error)

    def _sync_done(self, sequence: int, error: OSError | sqlite3.Error | None) -> None:
        self._sync_ended = self._loop.time()
        if error is None:
            self._synced = max(self._synced, sequence)
        while self._unsynced and (error or self._unsynced[0][-1].sequence <= self._synced):
            units = self._unsynced.popleft()
            for unit in units if error is not None else ():
                unit.error = unit.error or StoreFailed(f"{self._path}: cannot be synced: {error}")
            self._resolve(units)
        if self._unsynced and self._syncer is not None:
            self._syncer.want()
        waiting, self._sync_waiters = self._sync_waiters, deque()
        for wanted, future in waiting:
            if future.done():
                continue
            if error is not None:
                future.set_exception(StoreFailed(f"{self._path}: cannot be synced: {error}"))
            elif wanted <= self._synced:
                future.set_result(None)
            else:
                self._sync_waiters.append((wanted, future))
        if self._sync_waiters and self._syncer is not None:
            self._syncer.want()

    # --- reading

    def state_get(self, group: str, key: str, done: Done) -> None:
        """See Store.state_get."""
        pending = self._overlay.get(group, key)
        parameters = (group, key, now_ms())
        if isinstance(pending, tuple):
            done(None, pending[0])
        elif pending is UNKNOWN:
            self._read_behind(lambda c: c.execute(_GET_STATE, parameters).fetchone(), done)
        else:
            self._read_now(lambda c: c.execute(_GET_STATE, parameters).fetchone(), done)

    def state_list(
        self, group: str, done: Done, after: str | None = None, limit: int | None = None
    ) -> None:
        """See Store.state_list."""

        def read(connection: sqlite3.Connection) -> list[tuple[str, Payload]]:
            return listing.state(connection, group, after, limit, now_ms())

        if self._overlay.touches(group):
            self._read_behind(read, done)
        else:
            self._read_now(read, done)

    def state_groups(self, done: Done) -> None:
        """See Store.state_groups."""

        def read(connection: sqlite3.Connection) -> list[str]:
            return [group for (group,) in connection.execute(_GROUPS, (now_ms(),))]

        if self._overlay.empty:
            self._read_now(read, done)
        else:
            self._read_behind(read, done)

    def stream_get(self, stream: str, group: str, id: str, done: Done) -> None:
        """See Store.stream_get."""
        self._read_behind(lambda c: c.execute(_GET_ITEM, (stream, group, id)).fetchone(), done)

    def stream_list(self, stream: str, group: str, done: Done) -> None:
        """See Store.stream_list."""

        def read(connection: sqlite3.Connection) -> list[tuple[str, Payload]]:
            rows = connection.execute(_LIST_ITEMS, (stream, group))
            return [(id, (kind, value)) for id, kind, value in rows]

        self._read_behind(read, done)

    def stream_snapshot(self, stream: str, group: str, id: str | None, done: Done) -> None:
        """See Store.stream_snapshot."""

        def read(connection: sqlite3.Connection) -> tuple[int, list[tuple[str, Payload]]]:
            seq = connection.execute(_GROUP_SEQ, (stream, group)).fetchone()
            if id is None:
                rows = connection.execute(_LIST_ITEMS, (stream, group))
                items = [(each, (kind, value)) for each, kind, value in rows]
            else:
                row = connection.execute(_GET_ITEM, (stream, group, id)).fetchone()
                items = [] if row is None else [(id, row)]
            return (0 if seq is None else seq[0]), items

        self._read_behind(read, done)

    def event(self, id: int, done: Done) -> None:
        """See Store.event."""

        def read(connection: sqlite3.Connection) -> StoredEvent | None:
            return next(iter(listing.events(connection, (id,))), None)

        self._read_now(read, done)

    def events(self, ids: Sequence[int]) -> list[StoredEvent]:
        """See Store.events."""
        try:
            return listing.events(self._read, ids)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path}: cannot be read: {error}") from error

    def newest(self) -> int:
        """See Store.newest."""
        try:
            return listing.newest(self._read)
        except sqlite3.Error as error:
            raise StoreFailed(opening.reason(self._path, error)) from error

    def waiting(self) -> Iterator[Waiting]:
        """See Store.waiting."""
        try:
            yield from listing.waiting(self._read)
        except sqlite3.Error as error:
            raise StoreFailed(opening.reason(self._path, error)) from error

    def held(self) -> Iterator[tuple[str, str]]:
        """See Store.held."""
        return iter(listing.held(self._read))

    def starts(self, since: int) -> Iterator[Start]:
        """See Store.starts."""
        return iter(listing.starts(self._read, since))

    def cron(self) -> list[CronState]:
        """See Store.cron."""
        return listing.cron(self._read)

    async def pending(
        self,
        limit: int = 100,
        before: tuple[int, str] | None = None,
        step: str | None = None,
        topic: str | None = None,
        event: int | None = None,
    ) -> list[Pending]:
        """See Store.pending."""
        return await self._look(lambda c: listing.pending(c, limit, before, step, topic, event))

    async def behind(self, step: str, group: str) -> int:
        """See Store.behind."""
        return await self._look(lambda c: listing.behind(c, step, group))

    async def dead(
        self,
        limit: int = 100,
        before: int | None = None,
        step: str | None = None,
        event: int | None = None,
    ) -> list[DeadLetter]:
        """See Store.dead."""
        return await self._look(lambda c: listing.dead(c, limit, before, step, event))

    async def letter(self, id: int) -> DeadLetter | None:
        """See Store.letter."""
        return await self._look(lambda c: listing.letter(c, id))

    async def forget_dead(self, before: int) -> int:
        """See Store.forget_dead."""
        return await self._change(lambda c: listing.forget_dead(c, before))

    async def state_counts(self, after: str | None, limit: int) -> list[StateGroup]:
        """See Store.state_counts."""
        return await self._look(lambda c: listing.state_counts(c, after, limit, now_ms()))

    async def state_page(
        self, group: str, after: str | None, limit: int, most: int
    ) -> list[StateRow]:
        """See Store.state_page."""
        return await self._look(
            lambda c: listing.state_page(c, group, after, limit, most, now_ms())
        )

    async def close(self) -> None:
        """Finish what was submitted, then let go of the files."""
        if self._closed:
            return
        await self.apply(())
        self._closed = True
        self._sweeper.cancel()
        if self._syncer is not None:
            await asyncio.to_thread(self._syncer.stop)
        await asyncio.to_thread(self._checkpoints.stop)
        await self._long_reads.close()
        self._writer.close()
        self._read.close()
        os.close(self._lock)

    def _read_now(self, reader: Reader, done: Done) -> None:
        try:
            result = reader(self._read)
        except sqlite3.Error as error:
            done(StoreFailed(f"{self._path}: cannot be read: {error}"), None)
        else:
            done(None, result)

    def _read_behind(self, reader: Reader, done: Done) -> None:
        """Read after every unit submitted so far, in their order."""
        self._hand_over(Unit(self._sequence, (), done, reader))

    async def _look(self, reader: Callable[[sqlite3.Connection], _T]) -> _T:
        """Read what may take long: behind what was submitted, and not on the loop."""
        await self.apply(())
        try:
            return await self._long_reads.run(reader)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path}: cannot be read: {error}") from error

    async def _change(self, change: Callable[[sqlite3.Connection], _T]) -> _T:
        """Change what no operation is for, in the order of the units."""
        future: asyncio.Future[_T] = self._loop.create_future()
        self._read_behind(change, _into(future))
        return await future

    # --- parts

    def _moved(self) -> None:
        """A checkpoint has run beside the loop; called in its thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish_checkpoint)

    def _finish_checkpoint(self) -> None:
        # What cannot be moved now stays in the log, from which everything is read as well.
        if not self._closed:
            with contextlib.suppress(sqlite3.Error):
                self._writer.finish_checkpoint()

    def _sweep_on(self) -> None:
        self._sweeper.cancel()
        if not self._closed:
            self._sweep()

    def _sweep(self) -> None:
        """Remove what has expired, a little now and then."""
        now = now_ms()

        def remove(connection: sqlite3.Connection) -> None:
            if listing.expire(connection, now, now - _STARTS_KEPT_MS):
                self._loop.call_soon(self._sweep_on)

        self._read_behind(remove, lambda _error, _result: None)
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)


def _into(future: asyncio.Future[Any]) -> Done:
    def done(error: StepweaveError | None, result: Any) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    return done


def _answer(unit: Unit, error: StepweaveError) -> None:
    if unit.done is not None:
        unit.done(error, None)
