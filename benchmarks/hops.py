"""Durable event hops: per language under load, and an idle chain through all four."""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from benchmarks import hop_steps, servers
from benchmarks.processes import NotAvailable, cpu_s, run_json
from benchmarks.rounds import Case, Figures, take_turns
from benchmarks.settings import Settings
from benchmarks.table import Table

__all__ = ["run"]

CHAINS = 64
LANGUAGES = ("typescript", "javascript", "python", "ruby")
CEILING = "bare SQLite"
CPU = "cpu: processor time per hop, orchestrator and runners together"
SETTLE_LIMIT_S = 120.0
CHAIN_PAUSE_S = 0.02


class Project:
    """The running project; `serial` keeps the runs of a benchmark apart."""

    def __init__(self, base: str, pid: int) -> None:
        self.base = base
        self.pid = pid
        self.serial = 0

    def post(self, path: str, body: Any = None) -> Any:
        """Send JSON, return JSON."""
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read())

    def ends(self, run: str, count: int) -> list[dict[str, float]]:
        """What the last hop of each chain noted, once all have; else raises NotAvailable."""
        deadline = time.monotonic() + SETTLE_LIMIT_S
        while time.monotonic() < deadline:
            found: list[dict[str, float]] = self.post("/bench/ends", {"run": run})
            if len(found) >= count:
                return found
            time.sleep(0.1)
        raise NotAvailable(f"{len(found)} of {count} chains ended within {SETTLE_LIMIT_S:g} s")

    def name(self) -> str:
        """A name for the next run."""
        self.serial += 1
        return f"run-{self.serial}"


def run(settings: Settings) -> list[Table]:
    """A table of rates and one of latencies."""
    with servers.stepweave(hop_steps.STEPS) as ours:
        project = Project(ours.base, ours.pid)
        for language in LANGUAGES:
            _rate(project, language, 20)
        return [_rates(project, settings), _latency(project, settings)]


def _rates(project: Project, settings: Settings) -> Table:
    cases = [Case(CEILING, _ceiling(CHAINS, settings))]
    cases += [Case(f"{lang} step", _timed(project, lang, settings), CEILING) for lang in LANGUAGES]
    rows = take_turns(cases, settings.rounds, "hops/s")
    note = f"{CHAINS} chains at once; a hop emits the next event, about 200 bytes; traces on"
    columns = ("hops/s", "cpu µs")
    return Table("hops: durable events from step to step", columns, rows, [note, CPU])


def _timed(project: Project, language: str, settings: Settings) -> Callable[[], Figures]:
    """Measure with as many hops as fill about `seconds`, judged by the run before."""
    length = 100

    def measure() -> Figures:
        nonlocal length
        used = cpu_s(project.pid)
        rate = _rate(project, language, length)
        used = cpu_s(project.pid) - used
        hops = CHAINS * (length + 1)
        length = max(20, int(rate * settings.seconds / CHAINS))
        return {"hops/s": rate, "cpu µs": used / hops * 1e6}

    return measure


def _rate(project: Project, language: str, length: int) -> float:
    name = project.name()
    asked = {"run": name, "language": language, "chains": CHAINS, "length": length}
    began = project.post("/bench/hops", asked)["at"]
    ends = project.ends(name, CHAINS)
    took_us: float = max(end["at"] for end in ends) - began
    return CHAINS * (length + 1) / (took_us / 1e6)


def _latency(project: Project, settings: Settings) -> Table:
    count = int(50 * settings.seconds)

    def chain() -> Figures:
        name = project.name()
        for number in range(count):
            project.post("/bench/chain", {"run": name, "chain": number})
            time.sleep(CHAIN_PAUSE_S)
        took = sorted(end["at"] - end["began"] for end in project.ends(name, count))
        return {
            "p50 µs": statistics.median(took),
            "p99 µs": took[len(took) * 99 // 100],
            "per hop µs": statistics.median(took) / len(LANGUAGES),
        }

    cases = [Case(CEILING, _ceiling(1, settings)), Case("four languages", chain, CEILING)]
    rows = take_turns(cases, settings.rounds, "per hop µs", smaller_is_better=True)
    note = "one at a time: TypeScript, JavaScript, Python, Ruby; from first emit to last handler"
    return Table("hops: an idle chain", ("p50 µs", "p99 µs", "per hop µs"), rows, [note])


def _ceiling(concurrency: int, settings: Settings) -> Callable[[], Figures]:
    def measure() -> Figures:
        arguments = ("hop", str(concurrency), str(settings.seconds))
        figures = run_json("benchmarks.bare.sqlite_commits", *arguments)
        rate, half = figures["ops/s"], figures["p50 µs"]
        return {"hops/s": rate, "per hop µs": half, "cpu µs": figures["cpu µs"]}

    return measure
