"""Operations that look before they write, one at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from stepweave.calls import now_ms
from stepweave.engine.store import patch, plain
from stepweave.engine.store.matching import require
from stepweave.engine.store.operations import (
    WRONG_CLOCK_MS,
    Bury,
    Cancel,
    CronDone,
    CronPause,
    CronTick,
    Discard,
    Expect,
    Operation,
    PutEvent,
    Redrive,
    Retry,
    Settle,
    Start,
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

__all__ = ["execute"]


def execute(connection: sqlite3.Connection, ops: Sequence[Operation]) -> list[Any]:
    """Apply the operations of one unit in order and return their results.

    Raises Conflict, InvalidInput or sqlite3.Error; the caller rolls the unit back.
    """
    return [_EXECUTE[type(op)](connection, op) for op in ops]


def _plain(connection: sqlite3.Connection, op: Operation) -> None:
    batch = plain.Plain()
    batch.add(op, now_ms())
    batch.flush(connection)


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
            (op.topic, op.key, op.id, op.key_until),
        )
    if op.deliveries:
        plain.put_event(connection, op)
    return None


def _cancel(connection: sqlite3.Connection, op: Cancel) -> list[str]:
    keep = ",".join("?" * len(op.running))
    rows = connection.execute(
        "DELETE FROM deliveries WHERE event=?1 AND (?2 IS NULL OR subscription=?2)"
        f" AND subscription NOT IN ({keep}) RETURNING subscription",
        (op.event, op.only, *op.running),
    ).fetchall()
    plain.drop_event(connection, op.event)
    return [name for (name,) in rows]


def _redrive(connection: sqlite3.Connection, op: Redrive) -> tuple[PutEvent, bool] | None:
    row = connection.execute(
        "DELETE FROM dead WHERE id=? RETURNING subscription, topic, format, body, trace, source,"
        " grp, priority, coalesce(rank, event), holds",
        (op.dead,),
    ).fetchone()
    if row is None:
        return None
    subscription, topic, kind, body, trace, source, group, priority, rank, holds = row
    data = None if kind is None else (kind, body)
    if op.data is not None:
        (data,) = op.data
    put = PutEvent(
        op.event, topic, data, trace, source, op.at, group, None, ((subscription, op.at),),
        priority=priority, rank=rank if holds else None,
    )  # fmt: skip
    plain.put_event(connection, put)
    return put, bool(holds)


def _discard(connection: sqlite3.Connection, op: Discard) -> tuple[str, str | None] | None:
    row = connection.execute(
        "DELETE FROM dead WHERE id=? RETURNING subscription, CASE WHEN holds THEN grp END",
        (op.dead,),
    ).fetchone()
    return None if row is None else (row[0], row[1])


def _read_state(connection: sqlite3.Connection, group: str, key: str) -> Payload | None:
    row: Payload | None = connection.execute(
        "SELECT format, value FROM state WHERE grp=? AND key=?"
        " AND (expires_at IS NULL OR expires_at>?)",
        (group, key, now_ms()),
    ).fetchone()
    return row


def _expected(connection: sqlite3.Connection, op: StateSet | StateUpdate) -> Payload | None:
    current = _read_state(connection, op.group, op.key)
    require(current, op.expect, op.group, op.key)
    return current


def _set_state(connection: sqlite3.Connection, op: StateSet) -> None:
    _expected(connection, op)
    plain.set_state(connection, op, now_ms())


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
    plain.set_state(connection, StateSet(op.group, op.key, value, expires), now_ms())
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
    value = patch.apply(_read_item(connection, op.stream, op.group, op.id), op.ops)
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
        "INSERT INTO cron_ticks (step, at, ran) VALUES (?,?,?) ON CONFLICT (step) DO UPDATE"
        " SET at=excluded.at, ran=coalesce(excluded.ran, ran)"
        " WHERE cron_ticks.at IS NULL OR excluded.at>cron_ticks.at OR cron_ticks.at>?",
        (op.step, op.at, op.at if op.runs else None, op.at + WRONG_CLOCK_MS),
    )
    if done.rowcount and op.runs:
        connection.execute("INSERT OR IGNORE INTO cron_open VALUES (?,?)", (op.step, op.at))
    return done.rowcount > 0


def _cron_done(connection: sqlite3.Connection, op: CronDone) -> None:
    connection.execute("DELETE FROM cron_open WHERE step=? AND at=?", (op.step, op.at))


def _cron_pause(connection: sqlite3.Connection, op: CronPause) -> None:
    connection.execute(
        "INSERT INTO cron_ticks (step, paused) VALUES (?,?)"
        " ON CONFLICT (step) DO UPDATE SET paused=excluded.paused",
        (op.step, op.paused),
    )


def _expect(connection: sqlite3.Connection, op: Expect) -> None:
    found: Any
    if op.key is None:
        found = _read_group(connection, op.stream, op.group)
    elif op.stream is None:
        found = _read_state(connection, op.group, op.key)
    else:
        found = _read_item(connection, op.stream, op.group, op.key)
    if found != op.seen:
        where = "state" if op.stream is None else f'stream "{op.stream}"'
        raise Conflict(f'{where} "{op.group}" "{op.key or ""}" was changed meanwhile')


def _read_item(connection: sqlite3.Connection, stream: str, group: str, id: str) -> Payload | None:
    row: Payload | None = connection.execute(
        "SELECT format, value FROM stream_items WHERE stream=? AND grp=? AND id=?",
        (stream, group, id),
    ).fetchone()
    return row


def _read_group(
    connection: sqlite3.Connection, stream: str | None, group: str
) -> list[tuple[str, Payload]]:
    if stream is None:
        rows = connection.execute(
            "SELECT key, format, value FROM state WHERE grp=?"
            " AND (expires_at IS NULL OR expires_at>?) ORDER BY key",
            (group, now_ms()),
        )
    else:
        rows = connection.execute(
            "SELECT id, format, value FROM stream_items WHERE stream=? AND grp=? ORDER BY born",
            (stream, group),
        )
    return [(key, (kind, value)) for key, kind, value in rows]


_EXECUTE: dict[type, Any] = {
    PutEvent: _put_event,
    Settle: _plain,
    Cancel: _cancel,
    Retry: _plain,
    Bury: _plain,
    Redrive: _redrive,
    Discard: _discard,
    Start: _plain,
    StateSet: _set_state,
    StateDelete: _delete_state,
    StateClear: _clear_state,
    StateUpdate: _update_state,
    StreamSet: _set_stream,
    StreamUpdate: _update_stream,
    StreamDelete: _delete_stream,
    CronTick: _cron_tick,
    CronDone: _cron_done,
    CronPause: _cron_pause,
    Expect: _expect,
}
