"""Durable event hops under load: each language alone, and chains through all of them."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import hop_steps, servers
from benchmarks.processes import run_json
from benchmarks.project import Project
from benchmarks.rounds import Case, Figures, take_turns
from benchmarks.settings import Settings
from benchmarks.table import Table

__all__ = ["CPU", "ceiling", "run", "timed"]

CHAINS = 64
CEILING = "bare SQLite"
CPU = "cpu: processor time per hop, orchestrator and runners together"


def run(settings: Settings) -> list[Table]:
    """One table: SQLite alone, then Stepweave by language."""
    with servers.stepweave(hop_steps.loops()) as ours:
        project = Project(ours)
        topics = {f"{language} step": f"hop.{language}" for language in hop_steps.LANGUAGES}
        topics["mixed chain"] = f"mixed.{hop_steps.MIXED[0]}"
        for topic in topics.values():
            project.hops(topic, CHAINS, 20)
        cases = [
            Case(CEILING, ceiling("benchmarks.bare.sqlite_group", settings)),
            Case("under a loop", ceiling("benchmarks.bare.sqlite_commits", settings), CEILING),
        ]
        for name, topic in topics.items():
            cases.append(Case(name, timed(project, topic, CHAINS, settings), CEILING))
        rows = take_turns(cases, settings.rounds, "hops/s")
    notes = [
        f"{CHAINS} chains at once; a hop emits the next event, about 200 bytes; traces on",
        "bare SQLite: event and delivery in and out, 64 at a time, one thread;"
        " under a loop: the same with a writer thread beside an event loop",
        "mixed chain: TypeScript, Python, Ruby, JavaScript, and round again",
        CPU,
    ]
    return [Table("hops: durable events from step to step", ("hops/s", "cpu µs"), rows, notes)]


def timed(project: Project, topic: str, chains: int, settings: Settings) -> Callable[[], Figures]:
    """Measure with as many hops as fill about `seconds`, judged by the run before."""
    length = 60

    def measure() -> Figures:
        nonlocal length
        figures = project.hops(topic, chains, length).figures
        length = max(20, int(figures["hops/s"] * settings.seconds / chains))
        return figures

    return measure


def ceiling(module: str, settings: Settings, depth: int = CHAINS) -> Callable[[], Figures]:
    """Measure what SQLite does alone with as many hops in flight."""

    def measure() -> Figures:
        figures = run_json(module, "hop", str(depth), str(settings.seconds))
        return {"hops/s": figures["ops/s"], "cpu µs": figures["cpu µs"]}

    return measure
