"""Operations as SQL: many plain ones at once, or one that must look before it writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from stepweave import payload
from stepweave.calls import now_ms
from stepweave.engine.store import patch
from stepweave.engine.store.contract import (
    Bury,
    CronTick,
    Discard,
    Operation,
    PutEvent,
    Redrive,
    Retry,
    Settle,
    StateClear,
    StateDelete,
    StateSet,
    StateUpdate,
    StreamDelete,
    StreamSet,
    StreamUpdate,
)
from stepweave.errors import Conflict
from stepweave.payload import Payload

__all__ = ["KEY_WINDOW_MS", "Plain", "execute", "is_plain"]

KEY_WINDOW_MS = 24 * 3600 * 1000
"""How long the key of an event keeps another event with the same key out."""

_PUT_EVENT = "INSERT INTO events VALUES (?,?,?,?,?,?,?,?)"
_PUT_DELIVERY = "INSERT INTO deliveries VALUES (?,?,1,?,?,NULL)"
_DROP_DELIVERY = "DELETE FROM deliveries WHERE event=? AND subscription=?"
_DROP_EVENT = "DELETE FROM events WHERE id=?"
_RETRY = "UPDATE deliveries SET attempt=?, due_at=?, error=? WHERE event=? AND subscription=?"
_BURY = (
    "INSERT INTO dead (event, subscription, topic, format, body, trace, source, grp, attempts,"
    " reason, error, at) SELECT id, ?, topic, format, body, trace, source, grp, ?, ?, ?, ?"
    " FROM events WHERE id=?"
)
_SET_STATE = (
    "INSERT INTO state VALUES (?,?,?,?,?,?) ON CONFLICT (grp, key) DO UPDATE SET"
    " format=excluded.format, value=excluded.value, updated_at=excluded.updated_at,"
    " expires_at=excluded.expires_at"
)


def is_plain(op: Operation) -> bool:
    """Whether the operation needs no look at the file first and has no result."""
    kind = type(op)
    if kind is Settle or kind is Retry or kind is Bury:
        return True
    if isinstance(op, PutEvent):
        return op.key is None
    return isinstance(op, StateSet) and op.expect is None


class Plain:
    """Collects plain operations and writes each kind with one statement.

    Kinds are written in the order events, retries, burials, settlements, state: within one
    transaction the order between kinds cannot be seen, and an event always comes before what
    happens to its deliveries.
    """

    __slots__ = ("_buries", "_deliveries", "_events", "_gone", "_retries", "_settled", "_state")

    def __init__(self) -> None:
        self._events: list[tuple[Any, ...]] = []
        self._deliveries: list[tuple[Any, ...]] = []
        self._retries: list[tuple[Any, ...]] = []
        self._buries: list[tuple[Any, ...]] = []
        self._settled: list[tuple[int, str]] = []
        self._gone: list[tuple[int]] = []
        self._state: list[tuple[Any, ...]] = []

    def add(self, op: Operation, now: int) -> None:
        """Take a plain operation."""
        if isinstance(op, PutEvent):
            row, deliveries = _event_rows(op)
            self._events.append(row)
            self._deliveries += deliveries
        elif isinstance(op, Settle):
            self._settled.append((op.event, op.subscription))
            if op.last:
                self._gone.append((op.event,))
        elif isinstance(op, StateSet):
            self._state.append(_state_row(op, now))
        elif isinstance(op, Retry):
            self._retries.append((op.attempt, op.due_at, op.error, op.event, op.subscription))
        elif isinstance(op, Bury):
            self._buries.append(
                (op.subscription, op.attempts, op.reason, op.error, op.at, op.event)
            )
            self._settled.append((op.event, op.subscription))
            if op.last:
                self._gone.append((op.event,))

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was collected."""
        batches: tuple[tuple[str, list[Any]], ...] = (
            (_PUT_EVENT, self._events),
            (_PUT_DELIVERY, self._deliveries),
            (_RETRY, self._retries),
            (_BURY, self._buries),
            (_DROP_DELIVERY, self._settled),
            (_DROP_EVENT, self._gone),
            (_SET_STATE, self._state),
        )
        for statement, rows in batches:
            if rows:
                connection.executemany(statement, rows)
                rows.clear()


def execute(connection: sqlite3.Connection, ops: Sequence[Operation]) -> list[Any]:
    """Apply the operations of one unit in order and return their results.

    Raises Conflict, InvalidInput or sqlite3.Error; the caller rolls the unit back.
    """
    return [_EXECUTE[type(op)](connection, op) for op in ops]


def _event_rows(op: PutEvent) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    kind, body = op.data if op.data is not None else (None, None)
    row = (op.id, op.topic, kind, body, op.trace, op.source, op.at, op.group)
    return row, [(op.id, name, due_at, op.group) for name, due_at in op.deliveries]


def _state_row(op: StateSet, now: int) -> tuple[Any, ...]:
    kind, value = op.value
    return (op.group, op.key, kind, value, now, op.expires_at)


def _plain(connection: sqlite3.Connection, op: Operation) -> None:
    plain = Plain()
    plain.add(op, now_ms())
    plain.flush(connection)


def _put_event(connection: sqlite3.Connection, op: PutEvent) -> int | None:
    if op.key is not None:
        held = connection.execute(
            "SELECT event FROM event_keys WHERE topic=? AND key=? AND expires_at>?",
            (op.topic, op.key, op.at),
        ).fetchone()
        if held is not None:
            return int(held[0])
        connection.execute(
            "INSERT OR REPLACE INTO event_keys VALUES (?,?,?,?)",
            (op.topic, op.key, op.id, op.at + KEY_WINDOW_MS),
        )
    row, deliveries = _event_rows(op)
    connection.execute(_PUT_EVENT, row)
    connection.executemany(_PUT_DELIVERY, deliveries)
    return None


def _redrive(connection: sqlite3.Connection, op: Redrive) -> PutEvent | None:
    row = connection.execute(
        "DELETE FROM dead WHERE id=?"
        " RETURNING subscription, topic, format, body, trace, source, grp",
        (op.dead,),
    ).fetchone()
    if row is None:
        return None
    subscription, topic, kind, body, trace, source, group = row
    data = None if kind is None else (kind, body)
    if op.data is not None:
        (data,) = op.data
    deliveries = ((subscription, op.at),)
    put = PutEvent(op.event, topic, data, trace, source, op.at, group, None, deliveries)
    _put_event(connection, put)
    return put


def _discard(connection: sqlite3.Connection, op: Discard) -> bool:
    return connection.execute("DELETE FROM dead WHERE id=?", (op.dead,)).rowcount > 0


def _read_state(connection: sqlite3.Connection, group: str, key: str) -> Payload | None:
    row: Payload | None = connection.execute(
        "SELECT format, value FROM state WHERE grp=? AND key=?"
        " AND (expires_at IS NULL OR expires_at>?)",
        (group, key, now_ms()),
    ).fetchone()
    return row


def _expected(connection: sqlite3.Connection, op: StateSet | StateUpdate) -> Payload | None:
    current = _read_state(connection, op.group, op.key)
    if op.expect is not None:
        wanted = op.expect[0]
        same = current is wanted is None or (
            current is not None
            and wanted is not None
            and (current == wanted or payload.decode(current) == payload.decode(wanted))
        )
        if not same:
            raise Conflict(f'state "{op.group}" "{op.key}" holds another value than expected')
    return current


def _set_state(connection: sqlite3.Connection, op: StateSet) -> None:
    _expected(connection, op)
    connection.execute(_SET_STATE, _state_row(op, now_ms()))


def _delete_state(connection: sqlite3.Connection, op: StateDelete) -> Payload | None:
    row = connection.execute(
        "DELETE FROM state WHERE grp=? AND key=? RETURNING format, value, expires_at",
        (op.group, op.key),
    ).fetchone()
    if row is None or (row[2] is not None and row[2] <= now_ms()):
        return None
    return (row[0], row[1])


def _clear_state(connection: sqlite3.Connection, op: StateClear) -> int:
    return connection.execute("DELETE FROM state WHERE grp=?", (op.group,)).rowcount


def _update_state(connection: sqlite3.Connection, op: StateUpdate) -> Payload:
    current = _expected(connection, op)
    value = patch.apply(current, op.ops)
    expires = None
    if current is not None:
        (expires,) = connection.execute(
            "SELECT expires_at FROM state WHERE grp=? AND key=?", (op.group, op.key)
        ).fetchone()
    connection.execute(_SET_STATE, (op.group, op.key, *value, now_ms(), expires))
    return value


def _next_in_group(connection: sqlite3.Connection, stream: str, group: str) -> int:
    (number,) = connection.execute(
        "INSERT INTO stream_groups VALUES (?,?,1)"
        " ON CONFLICT (stream, grp) DO UPDATE SET seq=seq+1 RETURNING seq",
        (stream, group),
    ).fetchone()
    return int(number)


def _set_stream(connection: sqlite3.Connection, op: StreamSet) -> tuple[bool, int, Payload]:
    key = (op.stream, op.group, op.id)
    seq = _next_in_group(connection, op.stream, op.group)
    done = connection.execute(
        "UPDATE stream_items SET format=?, value=?, seq=?, updated_at=?"
        " WHERE stream=? AND grp=? AND id=?",
        (*op.data, seq, op.at, *key),
    )
    created = done.rowcount == 0
    if created:
        connection.execute(
            "INSERT INTO stream_items VALUES (?,?,?,?,?,?,?,?)", (*key, *op.data, seq, seq, op.at)
        )
    return created, seq, op.data


def _update_stream(connection: sqlite3.Connection, op: StreamUpdate) -> tuple[bool, int, Payload]:
    row: Payload | None = connection.execute(
        "SELECT format, value FROM stream_items WHERE stream=? AND grp=? AND id=?",
        (op.stream, op.group, op.id),
    ).fetchone()
    value = patch.apply(row, op.ops)
    return _set_stream(connection, StreamSet(op.stream, op.group, op.id, value, op.at))


def _delete_stream(connection: sqlite3.Connection, op: StreamDelete) -> tuple[int, Payload] | None:
    row: Payload | None = connection.execute(
        "DELETE FROM stream_items WHERE stream=? AND grp=? AND id=? RETURNING format, value",
        (op.stream, op.group, op.id),
    ).fetchone()
    if row is None:
        return None
    return _next_in_group(connection, op.stream, op.group), row


def _cron_tick(connection: sqlite3.Connection, op: CronTick) -> bool:
    done = connection.execute(
        "INSERT INTO cron_ticks VALUES (?,?)"
        " ON CONFLICT (step) DO UPDATE SET at=excluded.at WHERE excluded.at>cron_ticks.at",
        (op.step, op.at),
    )
    return done.rowcount > 0


_EXECUTE: dict[type, Any] = {
    PutEvent: _put_event,
    Settle: _plain,
    Retry: _plain,
    Bury: _plain,
    Redrive: _redrive,
    Discard: _discard,
    StateSet: _set_state,
    StateDelete: _delete_state,
    StateClear: _clear_state,
    StateUpdate: _update_state,
    StreamSet: _set_stream,
    StreamUpdate: _update_stream,
    StreamDelete: _delete_stream,
    CronTick: _cron_tick,
}
