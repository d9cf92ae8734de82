"""What people look through, a page at a time: dead letters, groups of the state, their keys."""

from __future__ import annotations

import sqlite3

from stepweave.engine.store.contract import DeadLetter, StateGroup, StateRow

__all__ = ["dead", "letter", "state_counts", "state_page"]

_LETTER = (
    "SELECT id, event, subscription, topic, format, body, trace, attempts, reason, error, at,"
    " source, grp FROM dead"
)
_ALIVE = "(expires_at IS NULL OR expires_at>?)"


def dead(
    connection: sqlite3.Connection, limit: int, before: int | None, step: str | None
) -> list[DeadLetter]:
    """Dead letters, newest first; see Store.dead."""
    rows = connection.execute(
        f"{_LETTER} WHERE id<?1 AND (?2 IS NULL OR subscription=?2) ORDER BY id DESC LIMIT ?3",
        (before if before is not None else 1 << 62, step, limit),
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
    id: int, event: int, step: str, topic: str, kind: str | None, body: bytes, *rest: object
) -> DeadLetter:
    data = None if kind is None else (kind, body)
    return DeadLetter(id, event, step, topic, data, *rest)  # type: ignore[arg-type]
