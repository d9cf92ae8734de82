"""Commits units in order and in groups, on the thread of those who submit them."""

from __future__ import annotations

import sqlite3
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
    """Commits a group of units in one transaction.

    When a group fails (a full disk, a read-only file), each of its units is tried alone, so
    that one unit's failure is not its neighbours'.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.committed = 0
        """The sequence number of the newest unit that is committed."""
        self.written = 0
        """Operations since `moved`, about as many as pages of the log."""

    def commit(self, units: list[Unit]) -> None:
        """Commit units, in order; each one's results or error are in it."""
        try:
            self._transaction(units)
        except Exception:
            # Of any kind, as a value that cannot be bound: it is told to whom it belongs.
            for unit in units:
                if unit.error is None:
                    try:
                        self._transaction([unit])
                    except Exception as error:
                        unit.error = _failed(error)
        self.committed = units[-1].sequence
        for unit in units:
            self.written += len(unit.operations)

    def finish_checkpoint(self) -> None:
        """Move the little that a pass beside the loop has left, so that the log begins anew.
        Raises sqlite3.Error."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

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
