"""What a call through the runner pool costs beyond a bare pipe to a child of the same language."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.processes import NotAvailable, run_json
from benchmarks.rounds import Case, Figures, take_turns
from benchmarks.servers import node_packages
from benchmarks.settings import Settings
from benchmarks.table import Table

__all__ = ["run"]

LANGUAGES = ("python", "node", "ruby")
BARE = "benchmarks.bare.pipe_calls"
POOL = "benchmarks.pool_calls"


def run(settings: Settings) -> list[Table]:
    """One table per number of calls in flight."""
    notes = ["a call carries about 200 bytes of JSON there and back; the handler returns its input"]
    languages = list(LANGUAGES)
    try:
        node_packages()
    except NotAvailable as reason:
        languages.remove("node")
        notes.append(f"node left out: {reason}")
    return [_table(languages, depth, settings, notes) for depth in (1, 50)]


def _table(languages: list[str], depth: int, settings: Settings, notes: list[str]) -> Table:
    def measure(module: str, language: str) -> Callable[[], Figures]:
        return lambda: run_json(module, language, str(depth), str(settings.seconds))

    cases = []
    for language in languages:
        cases.append(Case(f"bare {language}", measure(BARE, language)))
        cases.append(Case(f"{language} runner", measure(POOL, language), f"bare {language}"))
    rows = take_turns(cases, settings.rounds, "calls/s")
    columns = ("calls/s", "p50 µs", "p99 µs")
    return Table(f"rpc: {depth} call{'s' * (depth > 1)} in flight", columns, rows, notes)
