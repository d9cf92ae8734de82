"""The most that SQLite gives with group commit: `… bare.sqlite_commits WHAT CONCURRENCY SECONDS`.

One writer thread commits everything that one loop turn handed over, in WAL mode with
`synchronous=NORMAL`, as an embedded store would; nothing else happens. WHAT is `hop` (insert an
event with its delivery, wait until they are committed, delete them with the next commit), `chain`
(four hops, one after the other), `put` (insert, wait), `set` (upsert, wait), `update` (read,
add one, upsert, wait) or `get` (read on the loop's own thread). Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from benchmarks.calls import BODY

SCHEMA = """
CREATE TABLE events (id INTEGER PRIMARY KEY, topic TEXT, payload BLOB, trace TEXT);
CREATE TABLE deliveries (event INTEGER, step TEXT, PRIMARY KEY (event, step)) WITHOUT ROWID;
CREATE TABLE state (grp TEXT, key TEXT, value BLOB, PRIMARY KEY (grp, key)) WITHOUT ROWID;
"""
INSERT_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?)"
INSERT_DELIVERY = "INSERT INTO deliveries VALUES (?, ?)"
DELETE_DELIVERY = "DELETE FROM deliveries WHERE event = ? AND step = ?"
DELETE_EVENT = "DELETE FROM events WHERE id = ?"
UPSERT = (
    "INSERT INTO state (grp, key, value) VALUES (?, ?, ?)"
    " ON CONFLICT (grp, key) DO UPDATE SET value = excluded.value"
)
SELECT = "SELECT value FROM state WHERE grp = ? AND key = ?"
STEP = "Hop"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
KEYS = 20
CHAIN = 4
PAYLOAD = BODY.encode()

Apply = Callable[[sqlite3.Connection], object]
Operation = tuple[Apply, "asyncio.Future[None] | None"]
Work = Callable[[], Awaitable[object]]


class Writer:
    """A thread that owns the connection; each batch is one transaction."""

    def __init__(self, path: Path) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting: list[Operation] = []
        self.batches: queue.SimpleQueue[list[Operation] | None] = queue.SimpleQueue()
        self.db = connect(path)
        self.db.executescript(SCHEMA)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def add(self, apply: Apply) -> None:
        """Put an operation into the batch of this loop turn."""
        self._put(apply, None)

    async def commit(self, apply: Apply) -> None:
        """Put an operation into the batch of this loop turn and wait for its commit."""
        future: asyncio.Future[None] = self.loop.create_future()
        self._put(apply, future)
        await future

    def close(self) -> None:
        """Finish what was handed over."""
        self.batches.put(None)
        self.thread.join()

    def _put(self, apply: Apply, future: asyncio.Future[None] | None) -> None:
        if not self.waiting:
            self.loop.call_soon(self._hand_over)
        self.waiting.append((apply, future))

    def _hand_over(self) -> None:
        batch, self.waiting = self.waiting, []
        self.batches.put(batch)

    def _run(self) -> None:
        while (batch := self.batches.get()) is not None:
            self.db.execute("BEGIN IMMEDIATE")
            for apply, _ in batch:
                apply(self.db)
            self.db.execute("COMMIT")
            self.loop.call_soon_threadsafe(self._resolve, batch)

    @staticmethod
    def _resolve(batch: list[Operation]) -> None:
        for _, future in batch:
            if future is not None:
                future.set_result(None)


def connect(path: Path) -> sqlite3.Connection:
    """A connection with the settings that the comparison is about."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def event_row(id: int) -> tuple[object, ...]:
    """The values of an event."""
    return (id, "bench.hop", PAYLOAD, TRACE)


def works(writer: Writer, reader: sqlite3.Connection) -> dict[str, Work]:
    """One unit of work of each kind."""
    last = 0

    def following() -> int:
        nonlocal last
        last += 1
        return last

    async def put() -> int:
        mine = following()

        def insert(db: sqlite3.Connection) -> None:
            db.execute(INSERT_EVENT, event_row(mine))
            db.execute(INSERT_DELIVERY, (mine, STEP))

        await writer.commit(insert)
        return mine

    async def hop() -> None:
        mine = await put()

        def delete(db: sqlite3.Connection) -> None:
            db.execute(DELETE_DELIVERY, (mine, STEP))
            db.execute(DELETE_EVENT, (mine,))

        writer.add(delete)

    async def chain() -> None:
        for _ in range(CHAIN):
            await hop()

    async def upsert() -> None:
        key = f"k{following() % KEYS}"
        await writer.commit(lambda db: db.execute(UPSERT, ("bench", key, PAYLOAD)))

    async def update() -> None:
        key = f"k{following() % KEYS}"

        def increment(db: sqlite3.Connection) -> None:
            row = db.execute(SELECT, ("count", key)).fetchone()
            value = json.loads(row[0]) + 1 if row else 1
            db.execute(UPSERT, ("count", key, json.dumps(value)))

        await writer.commit(increment)

    async def get() -> None:
        reader.execute(SELECT, ("bench", f"k{following() % KEYS}")).fetchone()

    return {"hop": hop, "chain": chain, "put": put, "set": upsert, "update": update, "get": get}


async def main(what: str, concurrency: int, seconds: float) -> dict[str, float]:
    """Operations per second, p50, p99 and processor time in µs of workers in a closed loop."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "bench.db"
        writer = Writer(path)
        reader = connect(path)
        all_works = works(writer, reader)
        for _ in range(KEYS):
            await all_works["set"]()
        work = all_works[what]
        latencies: list[float] = []
        used = time.process_time()
        began = time.perf_counter()
        until = began + seconds

        async def worker() -> None:
            sent_at = time.perf_counter()
            while sent_at < until:
                await work()
                now = time.perf_counter()
                latencies.append(now - sent_at)
                sent_at = now

        await asyncio.gather(*(worker() for _ in range(concurrency)))
        took = time.perf_counter() - began
        writer.close()
        used = time.process_time() - used
    latencies.sort()
    return {
        "ops/s": len(latencies) / took,
        "p50 µs": latencies[len(latencies) // 2] * 1e6,
        "p99 µs": latencies[len(latencies) * 99 // 100] * 1e6,
        "cpu µs": used / len(latencies) * 1e6,
    }


if __name__ == "__main__":
    _, given_what, given_concurrency, given_seconds = sys.argv
    figures = main(given_what, int(given_concurrency), float(given_seconds))
    print(json.dumps(uvloop.run(figures)))
