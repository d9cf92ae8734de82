"""The tables of the embedded store, and the upgrade from older ones."""

from __future__ import annotations

import sqlite3

from stepweave.errors import StoreFailed

__all__ = ["VERSION", "prepare"]

VERSION = 1

_TABLES = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, format TEXT, body BLOB, trace TEXT NOT NULL,
    source TEXT NOT NULL, at INTEGER NOT NULL, grp TEXT
);
CREATE TABLE deliveries (
    event INTEGER NOT NULL, subscription TEXT NOT NULL, attempt INTEGER NOT NULL,
    due_at INTEGER NOT NULL, grp TEXT, error BLOB,
    PRIMARY KEY (event, subscription)
) WITHOUT ROWID;
CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER NOT NULL, subscription TEXT NOT NULL,
    topic TEXT NOT NULL, format TEXT, body BLOB, trace TEXT NOT NULL, source TEXT NOT NULL,
    grp TEXT, attempts INTEGER NOT NULL, reason TEXT NOT NULL, error BLOB, at INTEGER NOT NULL
);
CREATE TABLE event_keys (
    topic TEXT NOT NULL, key TEXT NOT NULL, event INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    PRIMARY KEY (topic, key)
) WITHOUT ROWID;
CREATE TABLE state (
    grp TEXT NOT NULL, key TEXT NOT NULL, format TEXT NOT NULL, value BLOB NOT NULL,
    updated_at INTEGER NOT NULL, expires_at INTEGER,
    PRIMARY KEY (grp, key)
) WITHOUT ROWID;
CREATE INDEX state_expiry ON state (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE stream_items (
    stream TEXT NOT NULL, grp TEXT NOT NULL, id TEXT NOT NULL, format TEXT NOT NULL,
    value BLOB NOT NULL, born INTEGER NOT NULL, seq INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (stream, grp, id)
) WITHOUT ROWID;
CREATE TABLE stream_groups (
    stream TEXT NOT NULL, grp TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (stream, grp)
) WITHOUT ROWID;
CREATE TABLE cron_ticks (
    step TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL
) WITHOUT ROWID;
"""


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Make the tables in a new file. Raises StoreFailed for a file of a newer Stepweave."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise StoreFailed(
            f"{path} was written by a newer Stepweave (format {found}, this one reads {VERSION}); "
            "update Stepweave or use another storage folder"
        )
    if found == 0:
        connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version={VERSION};COMMIT;")
