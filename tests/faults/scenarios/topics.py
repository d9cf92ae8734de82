"""A project of very many steps: each is found, served, and gets its event."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults import handlers
from tests.faults.book import Book
from tests.faults.gauge import Gauge, mb
from tests.faults.scenarios.scale import Figures, Scale
from tests.faults.server import started, until
from tests.flows.harness import write

__all__ = ["run"]


def run(root: Path, scale: Scale) -> Figures:
    """`events` steps over the languages, each with a topic of its own, and an event to each."""
    files = handlers.accept("typescript")
    for number in range(scale.events):
        name = handlers.LANGUAGES[number % len(handlers.LANGUAGES)]
        files |= handlers.handler(name, f"step_{number}", f"topic.{number}")
    write(root, files)
    book = Book(root)
    began = time.monotonic()
    with started(root) as server:
        ready = time.monotonic() - began
        (record,) = [each for each in server.records if each["message"] == "ready"]
        assert record["fields"]["steps"] == scale.events + 1
        assert not [each for each in server.records if each["level"] in ("warn", "error")]
        sent = [{"id": str(n), "topic": f"topic.{n}"} for n in range(scale.events)]
        assert server.post("/accept/typescript", sent).status_code == 202
        until(lambda: len(book.read().ended) == scale.events, "an event to each step")
        size = Gauge(server.process.pid).read()
    assert book.repeated == 0
    return {
        "steps and topics": f"{scale.events:,}",
        "ready after": f"{ready:.2f} s",
        "events handled": f"{len(book.ended):,}",
        "memory": mb(size),
    }
