"""Memory and files while events flow for long: after a while neither grows."""

from __future__ import annotations

from pathlib import Path

from tests.faults import handlers
from tests.faults.book import Book
from tests.faults.gauge import mb
from tests.faults.scenarios.scale import Figures, Scale
from tests.faults.server import Server, memory, started, until
from tests.flows.harness import write

__all__ = ["run"]

_BATCH = 100
_LOOSE = {
    "python": "await state.set('seen', str(data['n'] % 50), data)",
    "typescript": "await state.set('seen', String(data.n % 50), data)",
    "ruby": "state.set('seen', (data['n'] % 50).to_s, data)",
}
_WARM = 0.4
"""The part of the events after which nothing may grow any more."""

_SLACK = 12 << 20
_EACH = 64
"""Bytes that a process or a file may grow by after that, at all and for each event."""


def run(root: Path, scale: Scale) -> Figures:
    """Let `events` through, a third in each language, and measure before, in between and after."""
    files: dict[str, str] = {}
    for name in handlers.LANGUAGES:
        files |= handlers.accept(name)
        files |= handlers.handler(name, f"loose_{name}", f"loose.{name}", _LOOSE[name])
    write(root, files)
    book = Book(root)
    with started(root, environment={"STEPWEAVE_TRACES_MAX_MB": "4"}) as server:
        rounds = [_measure(root, server)]
        warm = int(scale.events * _WARM)
        sent = 0
        for goal in (warm, (warm + scale.events) // 2, scale.events):
            while sent < goal:
                name = handlers.LANGUAGES[(sent // _BATCH) % len(handlers.LANGUAGES)]
                batch = [
                    {"id": str(n), "n": n, "topic": f"loose.{name}", "filler": "x" * 500}
                    for n in range(sent, sent + _BATCH)
                ]
                assert server.post(f"/accept/{name}", batch).status_code == 202
                sent += _BATCH
                scale.say(f"{sent} of {scale.events} events")
                until(lambda sent=sent: len(book.read().ended) > sent - 1000, "the events")
            until(lambda sent=sent: len(book.read().ended) == sent, "the events")
            rounds.append(_measure(root, server))
    first, settled, _, last = rounds
    allowed = _SLACK + _EACH * (scale.events - warm)
    figures = {"events": f"{scale.events:,}"}
    for what, size in last.items():
        grown = size - settled[what]
        assert grown < allowed, f"{what} grew by {mb(grown)} after the first {warm} events"
        figures[what] = f"{mb(first[what])}, warm {mb(settled[what])}, at the end {mb(size)}"
    return figures


def _measure(root: Path, server: Server) -> dict[str, int]:
    """Bytes of each process and of the files."""
    sizes = {"orchestrator": memory(server.process.pid)}
    for pid in sorted(server.runners):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        name = next(each for each in ("node", "ruby", "python") if each.encode() in command)
        sizes[f"{name} runner"] = memory(pid)
    for file in ("stepweave.sqlite", "stepweave.sqlite-wal", "traces.sqlite", "traces.sqlite-wal"):
        path = root / ".stepweave" / file
        sizes[file] = path.stat().st_size if path.exists() else 0
    return sizes
