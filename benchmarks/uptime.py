"""Whether hops get slower with time: the first and the last tenth of one long run."""

from __future__ import annotations

import itertools

from benchmarks import hop_steps, servers
from benchmarks.processes import tree
from benchmarks.project import Project
from benchmarks.settings import Settings
from benchmarks.table import Row, Table

__all__ = ["run"]

CHAINS = 64
TENTHS = 10
WARM_UP = 200


def run(settings: Settings) -> list[Table]:
    """One table of the first and the last tenth of a mixed chain's run."""
    topic = f"mixed.{hop_steps.MIXED[0]}"
    languages = len(hop_steps.MIXED)
    with servers.stepweave(hop_steps.loops()) as ours:
        project = Project(ours)
        project.hops(topic, CHAINS, WARM_UP)
        memory = _memory_mb(project)
        length = settings.long_hops // CHAINS // languages * languages
        # The first language counts its own calls, one in a round of all.
        tenth = CHAINS * length // languages // TENTHS
        run = project.hops(topic, CHAINS, length, tenth=tenth)
        ends = project.ends(f"{run.name} tenths", TENTHS)
        marks = [run.began, *sorted(end["at"] for end in ends)]
        after = _memory_mb(project)
    rates = [
        tenth * languages / ((till - since) / 1e6) for since, till in itertools.pairwise(marks)
    ]
    slowest = min(rates)
    rows = [
        Row("first tenth", {"hops/s": rates[0], "RSS MB": memory}),
        Row(
            "last tenth",
            {"hops/s": rates[TENTHS - 1], "RSS MB": after},
            rates[TENTHS - 1] / rates[0],
            "first tenth",
        ),
        Row("slowest tenth", {"hops/s": slowest}, slowest / rates[0], "first tenth"),
    ]
    notes = [
        f"{CHAINS * (length + 1)} hops, {CHAINS} chains at once through four languages, traces on",
        "RSS: all processes together, before and after; the system was warm before",
    ]
    return [Table("uptime: hops at the start and at the end", ("hops/s", "RSS MB"), rows, notes)]


def _memory_mb(project: Project) -> float:
    return sum(rss for _, rss, _ in tree(project.pid))
