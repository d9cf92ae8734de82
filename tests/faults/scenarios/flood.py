"""A handler that emits without end as fast as it can: it is slowed down, memory stays bounded."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults import handlers
from tests.faults.book import Book
from tests.faults.gauge import Gauge, mb
from tests.faults.ondisk import left
from tests.faults.scenarios.scale import Figures, Scale
from tests.faults.server import started, until
from tests.flows.harness import write

__all__ = ["run"]

# A thousand emits are under way at once: waiting for each would slow the loop down by itself.
_FLOOD = """
import { appendFileSync } from 'node:fs'
export const config = {
  type: 'event', name: 'flood', subscribes: ['flood'],
  infrastructure: { handler: { timeout: 900 }, queue: { maxRetries: 0 } },
}
export const handler = async (data: any, { emit }: any) => {
  for (let from = 0; from < data.count; from += 1000) {
    const many = Array.from({ length: Math.min(1000, data.count - from) }, (_, n) => from + n)
    await Promise.all(many.map((n) => emit({ topic: 'drop', data: { id: `d${n}` } })))
    appendFileSync('flooded', `${from + many.length}\\n`)
  }
}
"""
_SLOW_AT = 2_000
_ROOM = 96 << 20


def run(root: Path, scale: Scale) -> Figures:
    """Flood with `events`; what waits stays near the limit at which emits slow down."""
    files = {"steps/flood.step.ts": _FLOOD}
    files |= handlers.accept("python") | handlers.handler("python", "drop", "drop")
    write(root, files)
    (root / "flooded").touch()
    book = Book(root)
    with started(root, environment={"STEPWEAVE_EVENTS_SLOW_AT": str(_SLOW_AT)}) as server:
        gauge = Gauge(server.process.pid)
        base = gauge.read()
        began = time.monotonic()
        start = [{"topic": "flood", "id": "flood", "count": scale.events}]
        assert server.post("/accept/python", start).status_code == 202
        most = done = 0
        while done < scale.events:
            emitted = _flooded(root)
            until(lambda done=done: gauge.read() and len(book.read().ended) > done, "progress")
            done = len(book.ended)
            most = max(most, emitted - done)
            scale.say(f"{done} of {scale.events} events")
        took = time.monotonic() - began
        server.process.terminate()
        assert server.wait() == 0
    assert book.repeated == 0 and left(root) == (0, 0)
    assert most < 2 * _SLOW_AT + 2000, f"{most} events waited"
    assert gauge.peak - base < _ROOM, f"{mb(gauge.peak)} after {mb(base)}"
    return {
        "events emitted by one handler": f"{scale.events:,}",
        "most that waited": f"{most:,} (emits slow down at {_SLOW_AT:,})",
        "handled": f"{scale.events / took:,.0f} a second",
        "lost": "0",
        "memory before": mb(base),
        "memory at its peak": mb(gauge.peak),
    }


def _flooded(root: Path) -> int:
    """How many emits had been answered at the last look of the handler."""
    lines = (root / "flooded").read_text().split()
    return int(lines[-1]) if lines else 0
