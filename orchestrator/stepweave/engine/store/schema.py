"""The tables of the embedded store, and the upgrade from older ones."""

from __future__ import annotations

import sqlite3

from stepweave.errors import StoreFailed

__all__ = ["VERSION", "prepare"]

VERSION = 2

_TABLES = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, format TEXT, body BLOB, trace TEXT NOT NULL,
    source TEXT NOT NULL, at INTEGER NOT NULL, grp TEXT
);
CREATE TABLE deliveries (
    event INTEGER NOT NULL, subscription TEXT NOT NULL, attempt INTEGER NOT NULL,
    due_at INTEGER NOT NULL, grp TEXT, errors BLOB, priority INTEGER, rank INTEGER,
    PRIMARY KEY (event, subscription)
) WITHOUT ROWID;
CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER NOT NULL, subscription TEXT NOT NULL,
    topic TEXT NOT NULL, format TEXT, body BLOB, trace TEXT NOT NULL, source TEXT NOT NULL,
    grp TEXT, attempts INTEGER NOT NULL, reason TEXT NOT NULL, errors BLOB, at INTEGER NOT NULL,
    priority INTEGER, rank INTEGER, holds INTEGER NOT NULL DEFAULT 0,
    event_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX dead_holds ON dead (subscription, grp) WHERE holds;
CREATE TABLE starts (
    subscription TEXT NOT NULL, lane TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX starts_at ON starts (at);
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
    step TEXT NOT NULL PRIMARY KEY, at INTEGER, ran INTEGER, paused INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE cron_open (
    step TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (step, at)
) WITHOUT ROWID;
"""

# What brings a file of one format to the next, by the format that it has.
_UPGRADES = {
    1: """
ALTER TABLE deliveries RENAME COLUMN error TO errors;
ALTER TABLE deliveries ADD COLUMN priority INTEGER;
ALTER TABLE deliveries ADD COLUMN rank INTEGER;
UPDATE deliveries SET errors='['||errors||']' WHERE errors IS NOT NULL;
ALTER TABLE dead RENAME COLUMN error TO errors;
ALTER TABLE dead ADD COLUMN priority INTEGER;
ALTER TABLE dead ADD COLUMN rank INTEGER;
ALTER TABLE dead ADD COLUMN holds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead ADD COLUMN event_at INTEGER NOT NULL DEFAULT 0;
UPDATE dead SET errors='['||errors||']', event_at=at;
CREATE INDEX dead_holds ON dead (subscription, grp) WHERE holds;
CREATE TABLE starts (
    subscription TEXT NOT NULL, lane TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX starts_at ON starts (at);
ALTER TABLE cron_ticks RENAME TO cron_ticks_1;
CREATE TABLE cron_ticks (
    step TEXT NOT NULL PRIMARY KEY, at INTEGER, ran INTEGER, paused INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE cron_open (
    step TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (step, at)
) WITHOUT ROWID;
INSERT INTO cron_ticks (step, at, ran) SELECT step, at, at FROM cron_ticks_1;
DROP TABLE cron_ticks_1;
"""
}


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Make the tables in a new file, or bring those of an older Stepweave up to date.

    Raises StoreFailed for a file of a newer Stepweave.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise StoreFailed(
            f"{path} was written by a newer Stepweave (format {found}, this one reads {VERSION}); "
            "update Stepweave or use another storage folder"
        )
    if found == 0:
        _change(connection, _TABLES, VERSION)
    for version in range(found, VERSION) if found else ():
        _change(connection, _UPGRADES[version], version + 1)


def _change(connection: sqlite3.Connection, statements: str, version: int) -> None:
    connection.executescript(f"BEGIN;{statements}PRAGMA user_version={version};COMMIT;")
