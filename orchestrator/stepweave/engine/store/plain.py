"""Operations that need no look at the file first, written many at once."""

from __future__ import annotations

import sqlite3
from typing import Any

from stepweave.engine.store.operations import (
    Bury,
    Operation,
    PutEvent,
    Retry,
    Settle,
    Start,
    StateSet,
)
from stepweave.engine.store.rows import Rows

__all__ = ["Plain", "drop_event", "is_plain", "put_event", "set_state"]

_PUT_EVENT = Rows("INSERT INTO events VALUES ", "(?,?,?,?,?,?,?,?)")
_PUT_DELIVERY = Rows("INSERT INTO deliveries VALUES ", "(?,?,1,?,?,NULL,?,?)")
_DROP_DELIVERY = "DELETE FROM deliveries WHERE event=? AND subscription=?"
_DROP_DELIVERIES = Rows("DELETE FROM deliveries WHERE event IN (", "?", ")")
_DROP_EVENT = Rows("DELETE FROM events WHERE id IN (", "?", ")")
_DROP_LAST = (
    "DELETE FROM events WHERE id=? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event=id)"
)
# The first error and the newest ones: what a person looks for, in bounded space.
_MOST_ERRORS = 20
_ERRORS = (
    f"json_insert(CASE WHEN json_array_length(errors)>={_MOST_ERRORS}"
    " THEN json_remove(errors, '$[1]') ELSE coalesce(errors, '[]') END,"
    " '$[#]', json(CAST(? AS TEXT)))"
)
_RETRY = (
    f"UPDATE deliveries SET attempt=?, due_at=?, errors={_ERRORS} WHERE event=? AND subscription=?"
)
_BURY = (
    "INSERT INTO dead (event, subscription, topic, format, body, trace, source, grp, attempts,"
    " reason, errors, at, priority, rank, holds, event_at) SELECT id, subscription, topic, format,"
    f" body, trace, source, e.grp, ?, ?, {_ERRORS}, ?, priority, rank, ?, e.at"
    " FROM events e JOIN deliveries ON event=id WHERE id=? AND subscription=?"
)
_START = "INSERT INTO starts VALUES (?,?,?)"
_SET_STATE = Rows(
    "INSERT INTO state VALUES ",
    "(?,?,?,?,?,?)",
    " ON CONFLICT (grp, key) DO UPDATE SET format=excluded.format, value=excluded.value,"
    " updated_at=excluded.updated_at, expires_at=excluded.expires_at",
)


def is_plain(op: Operation) -> bool:
    """Whether the operation needs no look at the file first and has no result."""
    kind = type(op)
    if kind is Settle or kind is Retry or kind is Bury or kind is Start:
        return True
    if isinstance(op, PutEvent):
        return op.key is None
    return isinstance(op, StateSet) and op.expect is None


class Plain:
    """Collects plain operations and writes each kind with as few statements as it can.

    Kinds are written in the order events, retries, burials, settlements, the rest: within one
    transaction the order between kinds cannot be seen, and an event always comes before what
    happens to its deliveries.
    """

    __slots__ = (
        "_buries",
        "_deliveries",
        "_events",
        "_gone",
        "_perhaps_gone",
        "_rare",
        "_retries",
        "_settled",
        "_starts",
        "_state",
    )

    def __init__(self) -> None:
        self._rare = False
        self._events: list[tuple[Any, ...]] = []
        self._deliveries: list[tuple[Any, ...]] = []
        self._retries: list[tuple[Any, ...]] = []
        self._buries: list[tuple[Any, ...]] = []
        self._settled: list[tuple[int, str]] = []
        self._gone: list[tuple[int]] = []
        self._perhaps_gone: list[tuple[int]] = []
        self._starts: list[Start] = []
        self._state: list[tuple[Any, ...]] = []

    def add(self, op: Operation, now: int) -> None:
        """Take a plain operation."""
        if isinstance(op, PutEvent):
            row, deliveries = _event_rows(op)
            self._events.append(row)
            self._deliveries += deliveries
        elif isinstance(op, Settle):
            self._settle(op)
        elif isinstance(op, StateSet):
            self._state.append(_state_row(op, now))
        elif isinstance(op, Retry):
            self._rare = True
            self._retries.append((op.attempt, op.due_at, op.error, op.event, op.subscription))
        elif isinstance(op, Bury):
            self._rare = True
            self._buries.append(
                (op.attempts, op.reason, op.error, op.at, op.holds, op.event, op.subscription)
            )
            self._settle(op)
        elif isinstance(op, Start):
            self._rare = True
            self._starts.append(op)

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was collected."""
        for rows, collected in (
            (_PUT_EVENT, self._events),
            (_PUT_DELIVERY, self._deliveries),
        ):
            if collected:
                rows.run(connection, collected)
                collected.clear()
        if self._rare:
            self._flush_rare(connection)
        # An event that is over has no other delivery: its id finds the last one.
        for rows, collected in (
            (_DROP_DELIVERIES, self._gone),
            (_DROP_EVENT, self._gone),
            (_SET_STATE, self._state),
        ):
            if collected:
                rows.run(connection, collected)
        self._gone.clear()
        self._state.clear()

    def _flush_rare(self, connection: sqlite3.Connection) -> None:
        statements: tuple[tuple[str, list[Any]], ...] = (
            (_RETRY, self._retries),
            (_BURY, self._buries),
            (_DROP_DELIVERY, self._settled),
            (_DROP_LAST, self._perhaps_gone),
            (_START, self._starts),
        )
        for statement, rows in statements:
            if rows:
                connection.executemany(statement, rows)
                rows.clear()
        self._rare = False

    def _settle(self, op: Settle | Bury) -> None:
        if op.last:
            self._gone.append((op.event,))
            return
        self._rare = True
        self._settled.append((op.event, op.subscription))
        if op.last is None:
            self._perhaps_gone.append((op.event,))


def put_event(connection: sqlite3.Connection, op: PutEvent) -> None:
    """Write an event and its deliveries."""
    row, deliveries = _event_rows(op)
    _PUT_EVENT.run(connection, [row])
    _PUT_DELIVERY.run(connection, deliveries)


def drop_event(connection: sqlite3.Connection, event: int) -> None:
    """Remove an event that has no deliveries left."""
    connection.execute(_DROP_LAST, (event,))


def set_state(connection: sqlite3.Connection, op: StateSet, now: int) -> None:
    """Write a value, whatever was there."""
    _SET_STATE.run(connection, [_state_row(op, now)])


def _event_rows(op: PutEvent) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    kind, body = op.data if op.data is not None else (None, None)
    row = (op.id, op.topic, kind, body, op.trace, op.source, op.at, op.group)
    more = (op.group, op.priority, op.rank)
    return row, [(op.id, name, due_at, *more) for name, due_at in op.deliveries]


def _state_row(op: StateSet, now: int) -> tuple[Any, ...]:
    kind, value = op.value
    return (op.group, op.key, kind, value, now, op.expires_at)
