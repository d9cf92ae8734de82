"""The most that SQLite gives with group commit: `… bare.sqlite_commits WHAT CONCURRENCY SECONDS`.

One writer thread commits everything that one loop turn handed over, in WAL mode with
`synchronous=NORMAL`, as an embedded store would; nothing else happens. WHAT is `hop` (insert an
event, wait until it is committed, delete it with the next commit), `set` (upsert, wait) or `get`
(read on the loop's own thread). Prints one line of JSON.
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
CREATE TABLE events (id INTEGER PRIMARY KEY, topic TEXT, payload BLOB);
CREATE TABLE state (grp TEXT, key TEXT, value BLOB, PRIMARY KEY (grp, key)) WITHOUT ROWID;
"""
INSERT = "INSERT INTO events (id, topic, payload) VALUES (?, ?, ?)"
DELETE = "DELETE FROM events WHERE id = ?"
UPSERT = (
    "INSERT INTO state (grp, key, value) VALUES (?, ?, ?)"
    " ON CONFLICT (grp, key) DO UPDATE SET value = excluded.value"
)
SELECT = "SELECT value FROM state WHERE grp = ? AND key = ?"
KEYS = 20
PAYLOAD = BODY.encode()

Operation = tuple[str, tuple[object, ...], "asyncio.Future[None] | None"]
Work = Callable[[], Awaitable[None]]


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

    def add(self, sql: str, values: tuple[object, ...], wait: bool) -> asyncio.Future[None] | None:
        """Put an operation into the batch of this loop turn."""
        future = self.loop.create_future() if wait else None
        if not self.waiting:
            self.loop.call_soon(self._hand_over)
        self.waiting.append((sql, values, future))
        return future

    def close(self) -> None:
        """Finish what was handed over."""
        self.batches.put(None)
        self.thread.join()

    def _hand_over(self) -> None:
        batch, self.waiting = self.waiting, []
        self.batches.put(batch)

    def _run(self) -> None:
        while (batch := self.batches.get()) is not None:
            self.db.execute("BEGIN IMMEDIATE")
            for sql, values, _ in batch:
                self.db.execute(sql, values)
            self.db.execute("COMMIT")
            self.loop.call_soon_threadsafe(self._resolve, batch)

    @staticmethod
    def _resolve(batch: list[Operation]) -> None:
        for _, _, future in batch:
            if future is not None:
                future.set_result(None)


def connect(path: Path) -> sqlite3.Connection:
    """A connection with the settings that the comparison is about."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def works(writer: Writer, reader: sqlite3.Connection) -> dict[str, Work]:
    """One unit of work of each kind."""
    last = 0

    async def hop() -> None:
        nonlocal last
        last += 1
        mine = last
        await writer.add(INSERT, (mine, "bench.hop", PAYLOAD), True)  # type: ignore[misc]
        writer.add(DELETE, (mine,), False)

    async def put() -> None:
        nonlocal last
        last += 1
        await writer.add(UPSERT, ("bench", f"k{last % KEYS}", PAYLOAD), True)  # type: ignore[misc]

    async def get() -> None:
        nonlocal last
        last += 1
        reader.execute(SELECT, ("bench", f"k{last % KEYS}")).fetchone()

    return {"hop": hop, "set": put, "get": get}


async def main(what: str, concurrency: int, seconds: float) -> dict[str, float]:
    """Operations per second, p50 and processor time in µs of workers in a closed loop."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "bench.db"
        writer = Writer(path)
        reader = connect(path)
        for key in range(KEYS):
            await writer.add(UPSERT, ("bench", f"k{key}", PAYLOAD), True)  # type: ignore[misc]
        work = works(writer, reader)[what]
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
        "cpu µs": used / len(latencies) * 1e6,
    }


if __name__ == "__main__":
    _, given_what, given_concurrency, given_seconds = sys.argv
    figures = main(given_what, int(given_concurrency), float(given_seconds))
    print(json.dumps(uvloop.run(figures)))
