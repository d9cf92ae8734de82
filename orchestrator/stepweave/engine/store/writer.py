"""The thread that owns the write connection: takes units in order and commits them in groups."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any

from stepweave.calls import now_ms
from stepweave.engine.store.contract import Done
from stepweave.engine.store.execute import execute
from stepweave.engine.store.operations import Operation
from stepweave.engine.store.plain import Plain, is_plain
from stepweave.errors import StepweaveError, StoreFailed

__all__ = ["Reader", "Unit", "Writer"]

Reader = Callable[[sqlite3.Connection], Any]
"""A read that must see every unit submitted before it."""

_GROUP = 500
_STOP = None


class Unit:
    """Operations that take effect together, or a read in their order, and how it went."""

    __slots__ = ("done", "error", "operations", "plain", "reader", "results", "sequence")

    def __init__(
        self,
        sequence: int,
        operations: Sequence[Operation],
        done: Done | None,
        reader: Reader | None = None,
    ) -> None:
        self.sequence = sequence
        self.operations = operations
        self.done = done
        self.reader = reader
        self.plain = reader is None and all(map(is_plain, operations))
        self.results: Any = None
        self.error: StepweaveError | None = None


class Writer:
    """Commits units in groups of what has gathered; `settled` gets each group after its commit.

    When a group fails (a full disk, a read-only file), each of its units is tried alone, so
    that one unit's failure is not its neighbours'. `settled` is called in this thread.
    """

    def __init__(
        self, connection: sqlite3.Connection, settled: Callable[[list[Unit]], None]
    ) -> None:
        self._connection = connection
        self._settled = settled
        self._queue: queue.SimpleQueue[list[Unit] | None] = queue.SimpleQueue()
        self.committed = 0
        """The sequence number of the newest unit that is committed."""
        self._thread = threading.Thread(target=self._run, name="stepweave-store", daemon=True)
        self._thread.start()

    def put(self, units: list[Unit]) -> None:
        """Hand over units, in order."""
        self._queue.put(units)

    def stop(self) -> None:
        """Commit what was handed over, then end the thread and close its connection."""
        self._queue.put(_STOP)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            units = self._queue.get()
            if units is _STOP:
                break
            while len(units) < _GROUP:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is _STOP:
                    stopping = True
                    break
                units = units + more
            self._group(units)
        self._connection.close()

    def _group(self, units: list[Unit]) -> None:
        try:
            self._transaction(units)
        except (sqlite3.Error, OverflowError):
            for unit in units:
                if unit.error is None:
                    try:
                        self._transaction([unit])
                    except (sqlite3.Error, OverflowError) as error:
                        unit.error = _failed(error)
        self.committed = units[-1].sequence
        self._settled(units)

    def _transaction(self, units: list[Unit]) -> None:
        connection = self._connection
        now = now_ms()
        plain = Plain()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for unit in units:
                if unit.plain:
                    for op in unit.operations:
                        plain.add(op, now)
                    unit.results = [None] * len(unit.operations)
                else:
                    plain.flush(connection)
                    self._alone(unit)
            plain.flush(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _alone(self, unit: Unit) -> None:
        """Run a unit that has results or conditions; its own refusal undoes it alone."""
        connection = self._connection
        try:
            if unit.reader is not None:
                unit.results = unit.reader(connection)
                return
            connection.execute("SAVEPOINT unit")
            unit.results = execute(connection, unit.operations)
            connection.execute("RELEASE unit")
        except StepweaveError as error:
            unit.error = error
            connection.execute("ROLLBACK TO unit")
            connection.execute("RELEASE unit")


def _failed(error: Exception) -> StoreFailed:
    text = f"the store refused the write: {error}"
    if "malformed" in text:
        text += "; `stepweave doctor` says which file is damaged"
    failed = StoreFailed(text)
    failed.__cause__ = error
    return failed
