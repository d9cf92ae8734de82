"""A start with a great many events waiting: all run once, memory is bounded, news get through."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from stepweave import payload
from stepweave.calls import now_ms
from stepweave.engine import ids
from stepweave.engine.store.operations import PutEvent
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.trace import format_traceparent, new_span_id, new_trace_id
from tests.faults import handlers
from tests.faults.book import Book
from tests.faults.gauge import Gauge, mb
from tests.faults.ondisk import left
from tests.faults.scenarios.scale import Figures, Scale
from tests.faults.server import started, until
from tests.flows.harness import write

__all__ = ["run"]

_ROOM = 48 << 20
_EACH = 2048
"""Bytes of memory that the orchestrator may take beyond what it has after a start, and for each
event that waits."""


def run(root: Path, scale: Scale) -> Figures:
    """Put `events` into the store, start, and look."""
    files = handlers.accept("python") | handlers.handler("python", "news", "news")
    for name in handlers.LANGUAGES:
        files |= handlers.handler(name, f"old_{name}", f"old.{name}")
    write(root, files)
    with started(root) as server:
        base = Gauge(server.process.pid).read()
        server.process.terminate()
        assert server.wait() == 0
    asyncio.run(_fill(root / ".stepweave", scale.events))
    book = Book(root)
    began = time.monotonic()
    with started(root) as server:
        up = time.monotonic() - began
        gauge = Gauge(server.process.pid)
        asked = time.monotonic()
        event = {"id": "new", "topic": "news"}
        assert server.post("/accept/python", [event]).status_code == 202
        until(lambda: gauge.read() and book.read().ended["new"], "the new event")
        prompt = time.monotonic() - asked
        # As the book has it: this process may look late.
        ended = [line.id for line in book.lines if line.kind == "e"]
        assert ended.index("new") < scale.events // 2, "the new event had to wait for the old ones"
        while (done := len(book.read().ended)) < scale.events + 1:
            scale.say(f"{done} of {scale.events} events")
            until(lambda done=done: gauge.read() and len(book.read().ended) > done, "progress")
        took = time.monotonic() - began - up
        server.process.terminate()
        assert server.wait() == 0
    assert book.repeated == 0 and left(root) == (0, 0)
    assert gauge.peak - base < _ROOM + _EACH * scale.events, f"{mb(gauge.peak)} after {mb(base)}"
    return {
        "waiting at the start": f"{scale.events:,}",
        "ready after": f"{up:.2f} s",
        "first new event handled after": f"{prompt * 1000:.0f} ms",
        "drained": f"{scale.events / took:,.0f} events a second",
        "run again": "0",
        "memory without them": mb(base),
        "memory at its peak": mb(gauge.peak),
        "memory at the end": mb(gauge.last),
    }


async def _fill(folder: Path, count: int) -> None:
    """Put events into the store as a bus would."""
    store = SqliteStore(folder, "process")
    event_ids = ids.EventIds()
    pause = 100 if count < 10_000 else 0  # a small backlog would be gone before anybody can look
    trace = format_traceparent(new_trace_id(), new_span_id())
    for number in range(count):
        name = handlers.LANGUAGES[number % len(handlers.LANGUAGES)]
        data = payload.encode({"id": f"old{number}", "filler": "x" * 200, "pause": pause})
        to = ((f"old_{name}", now_ms()),)
        store.submit(
            (PutEvent(event_ids.next(), f"old.{name}", data, trace, "", now_ms(), None, None, to),)
        )
        if number % 1000 == 0:
            await store.apply(())
    await store.close()
