"""What a visitor waits for: an HTTP request, then one event through four languages to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from benchmarks import servers
from benchmarks.chain_client import walk
from benchmarks.chain_steps import STEPS
from benchmarks.processes import cpu_s, run_json
from benchmarks.rounds import Case, Figures, take_turns
from benchmarks.servers import Server
from benchmarks.settings import Settings
from benchmarks.table import Table

__all__ = ["run"]

LOAD = 64
REST_FACTOR, LOAD_FACTOR = 5, 3
PAUSE_S = 0.02


def run(settings: Settings) -> list[Table]:
    """A table at rest, one without a pause, and one under load."""
    with servers.stepweave(STEPS) as ours:
        asyncio.run(walk(ours.base, LOAD, 1.0))
        rest = _table("at rest (one, and a pause)", ours, 1, REST_FACTOR, PAUSE_S, settings)
        busy = _table("one after another", ours, 1, LOAD_FACTOR, 0.0, settings)
        load = _table(f"{LOAD} at once", ours, LOAD, LOAD_FACTOR, 0.0, settings)
    return [rest, busy, load]


def _table(
    title: str, ours: Server, depth: int, factor: int, pause_s: float, settings: Settings
) -> Table:
    def ceiling() -> Figures:
        arguments = ("chain", str(depth), str(settings.seconds))
        figures = run_json("benchmarks.bare.sqlite_commits", *arguments)
        return {**figures, "chains/s": figures["ops/s"]}

    rows = take_turns(
        [
            Case("bare SQLite", ceiling),
            Case("four languages", _walked(ours, depth, factor, pause_s, settings), "bare SQLite"),
        ],
        settings.rounds,
        "p50 µs",
        smaller_is_better=True,
    )
    notes = [
        "HTTP request, TypeScript, JavaScript, Python, Ruby: from sending the request to the end of"
        " the last handler; answer: until the HTTP answer",
        "bare SQLite: four events in and out, one after the other, a writer thread beside a loop",
    ]
    columns = ("p50 µs", "p99 µs", "answer p50 µs", "answer p99 µs", "chains/s", "cpu µs")
    return Table(f"chain: HTTP request to last handler, {title}", columns, rows, notes)


def _walked(
    ours: Server, depth: int, factor: int, pause_s: float, settings: Settings
) -> Callable[[], Figures]:
    def measure() -> Figures:
        used = cpu_s(ours.pid)
        figures = asyncio.run(walk(ours.base, depth, settings.seconds * factor, pause_s))
        used = cpu_s(ours.pid) - used
        return {**figures, "cpu µs": used / figures["chains"] * 1e6}

    return measure
