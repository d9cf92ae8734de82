"""Reads of many rows: what is found at start, and what people look through a page at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from stepweave.engine.store.contract import (
    CronState,
    DeadLetter,
    Pending,
    StateGroup,
    StateRow,
    StoredEvent,
    Waiting,
)
from stepweave.engine.store.operations import Start
from stepweave.payload import Payload

__all__ = [
    "behind",
    "cron",
    "dead",
    "events",
    "expire",
    "forget_dead",
    "held",
    "letter",
    "newest",
    "pending",
    "starts",
    "state",
    "state_counts",
    "state_page",
    "waiting",
]

_LETTER = (
    "SELECT id, event, subscription, topic, format, body, trace, attempts, reason, errors, at,"
    " source, grp, holds, event_at FROM dead"
)
_EVENT = "SELECT id, topic, format, body, trace, source, at, grp FROM events"
_PREVIEW = 4096
_SOME = 500
_ALIVE = "(expires_at IS NULL OR expires_at>?)"


def events(connection: sqlite3.Connection, ids: Sequence[int]) -> list[StoredEvent]:
    """The events with these ids; see Store.events."""
    marks = ",".join("?" * len(ids))
    return [
        StoredEvent(id, topic, None if kind is None else (kind, body), *rest)
        for id, topic, kind, body, *rest in connection.execute(
            f"{_EVENT} WHERE id IN ({marks})", ids
        )
    ]


def newest(connection: sqlite3.Connection) -> int:
    """The largest event id; see Store.newest."""
    (event,) = connection.execute(
        "SELECT max(coalesce((SELECT max(id) FROM events), 0),"
        " coalesce((SELECT max(event) FROM dead WHERE holds), 0))"
    ).fetchone()
    return int(event)


def waiting(connection: sqlite3.Connection) -> Iterator[Waiting]:
    """Every delivery, by rank; see Store.waiting."""
    query = (
        "SELECT event, subscription, attempt, due_at, grp, priority, coalesce(rank, event) AS place"
        " FROM deliveries ORDER BY place, event"
    )
    for row in connection.execute(query):
        yield Waiting(*row)


def held(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """The dead letters that hold a group; see Store.held."""
    return connection.execute("SELECT subscription, grp FROM dead WHERE holds").fetchall()


def starts(connection: sqlite3.Connection, since: int) -> list[Start]:
    """What started in throttled lanes; see Store.starts."""
    query = "SELECT subscription, lane, at FROM starts WHERE at>=? ORDER BY at"
    return [Start(*row) for row in connection.execute(query, (since,))]


def cron(connection: sqlite3.Connection) -> list[CronState]:
    """What is known of cron steps; see Store.cron."""
    begun: dict[str, list[int]] = {}
    for step, at in connection.execute("SELECT step, at FROM cron_open ORDER BY step, at"):
        begun.setdefault(step, []).append(at)
    rows = connection.execute("SELECT step, at, ran, paused FROM cron_ticks ORDER BY step")
    return [
        CronState(step, at, tuple(begun.get(step, ())), bool(paused), ran)
        for step, at, ran, paused in rows
    ]


def pending(
    connection: sqlite3.Connection,
    limit: int,
    before: tuple[int, str] | None,
    step: str | None,
    topic: str | None,
    event: int | None,
) -> list[Pending]:
    """Deliveries, newest event first; see Store.pending."""
    body = "body" if event is not None else f"substr(body, 1, {_PREVIEW})"
    last, name = before if before is not None else (1 << 62, "")
    rows = connection.execute(
        f"SELECT event, subscription, topic, format, {body}, coalesce(length(body), 0), trace,"
        " source, at, e.grp, attempt, due_at, priority, coalesce(errors, '[]')"
        " FROM deliveries JOIN events e ON id=event WHERE (event, subscription)<(?1, ?2)"
        " AND (?3 IS NULL OR subscription=?3) AND (?4 IS NULL OR topic=?4)"
        " AND (?5 IS NULL OR event=?5) ORDER BY event DESC, subscription DESC LIMIT ?6",
        (last, name, step, topic, event, limit),
    )
    return [
        Pending(id, name, topic, None if kind is None else (kind, data), *rest)
        for id, name, topic, kind, data, *rest in rows
    ]


def forget_dead(connection: sqlite3.Connection, before: int) -> int:
    """Remove old dead letters that hold nothing; see Store.forget_dead."""
    return connection.execute("DELETE FROM dead WHERE at<? AND NOT holds", (before,)).rowcount


def behind(connection: sqlite3.Connection, step: str, group: str) -> int:
    """How many deliveries a group of a step has; see Store.behind."""
    (count,) = connection.execute(
        "SELECT count(*) FROM deliveries WHERE subscription=? AND grp=?", (step, group)
    ).fetchone()
    return int(count)


def expire(connection: sqlite3.Connection, now: int, starts_before: int) -> bool:
    """Remove some of what is over at `now`; whether there may be more of it."""
    keys = connection.execute(
        "SELECT grp, key FROM state WHERE expires_at<=? LIMIT ?", (now, _SOME)
    ).fetchall()
    connection.executemany("DELETE FROM state WHERE grp=? AND key=?", keys)
    ids = connection.execute(
        "SELECT topic, key FROM event_keys WHERE expires_at<=? LIMIT ?", (now, _SOME)
    ).fetchall()
    connection.executemany("DELETE FROM event_keys WHERE topic=? AND key=?", ids)
    starts = connection.execute(
        "DELETE FROM starts WHERE rowid IN (SELECT rowid FROM starts WHERE at<? LIMIT ?)",
        (starts_before, _SOME),
    ).rowcount
    return _SOME in (len(keys), len(ids), starts)


def dead(
    connection: sqlite3.Connection,
    limit: int,
    before: int | None,
    step: str | None,
    event: int | None,
) -> list[DeadLetter]:
    """Dead letters, newest first; see Store.dead."""
    rows = connection.execute(
        f"{_LETTER} WHERE id<?1 AND (?2 IS NULL OR subscription=?2)"
        " AND (?3 IS NULL OR event=?3) ORDER BY id DESC LIMIT ?4",
        (before if before is not None else 1 << 62, step, event, limit),
    )
    return [_letter(*row) for row in rows]


def letter(connection: sqlite3.Connection, id: int) -> DeadLetter | None:
    """One dead letter."""
    row = connection.execute(f"{_LETTER} WHERE id=?", (id,)).fetchone()
    return None if row is None else _letter(*row)


def state_counts(
    connection: sqlite3.Connection, after: str | None, limit: int, now: int
) -> list[StateGroup]:
    """Groups in order of their names; see Store.state_counts."""
    rows = connection.execute(
        f"SELECT grp, count(*), sum(length(value)) FROM state WHERE {_after('grp', after)}"
        f" AND {_ALIVE} GROUP BY grp ORDER BY grp LIMIT ?",
        (after or "", now, limit),
    )
    return [StateGroup(*row) for row in rows]


def state(
    connection: sqlite3.Connection, group: str, after: str | None, limit: int | None, now: int
) -> list[tuple[str, Payload]]:
    """Whole values of a group in order of their keys; see Store.state_list."""
    rows = connection.execute(
        f"SELECT key, format, value FROM state WHERE grp=? AND {_after('key', after)}"
        f" AND {_ALIVE} ORDER BY key LIMIT ?",
        (group, after or "", now, -1 if limit is None else limit),
    )
    return [(key, (kind, value)) for key, kind, value in rows]


def state_page(
    connection: sqlite3.Connection, group: str, after: str | None, limit: int, most: int, now: int
) -> list[StateRow]:
    """Values of a group in order of their keys; see Store.state_page."""
    rows = connection.execute(
        "SELECT key, format, substr(value, 1, ?), length(value), updated_at, expires_at"
        f" FROM state WHERE grp=? AND {_after('key', after)} AND {_ALIVE} ORDER BY key LIMIT ?",
        (most, group, after or "", now, limit),
    )
    return [StateRow(key, (kind, start), *rest) for key, kind, start, *rest in rows]


def _after(column: str, after: str | None) -> str:
    """The condition for one parameter; the empty text is a name too, and the first of all."""
    return f"{column}>=?" if after is None else f"{column}>?"


def _letter(
    id: int, event: int, step: str, topic: str, kind: str | None, body: bytes, *rest: Any
) -> DeadLetter:
    data = None if kind is None else (kind, body)
    return DeadLetter(id, event, step, topic, data, *rest)
