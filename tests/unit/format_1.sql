-- A file as the first version of the store left it.
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
PRAGMA user_version=1;
INSERT INTO events VALUES (7, 'a.b', 'json', x'31', '00-t-s-01', 'Src', 5, NULL);
INSERT INTO deliveries VALUES (7, 'A', 2, 50, NULL, CAST('{"message":"no"}' AS BLOB));
INSERT INTO dead VALUES (1, 6, 'A', 'a.b', 'json', x'31', '00-t-s-01', 'Src', NULL, 4, 'error',
    CAST('{"message":"never"}' AS BLOB), 8);
INSERT INTO state VALUES ('g', 'k', 'json', x'31', 5, NULL);
INSERT INTO cron_ticks VALUES ('Tick', 99);
