"""What the options of a subscription cost: the same loop of hops, one option each."""

from __future__ import annotations

import time

from benchmarks import hop_steps, servers
from benchmarks.hops import CPU, timed
from benchmarks.processes import NotAvailable
from benchmarks.project import Project
from benchmarks.rounds import Case, take_turns
from benchmarks.settings import Settings
from benchmarks.table import Table

__all__ = ["run"]

CHAINS = 256
PROBE_LIMIT_S = 5.0
PLAIN = "plain"
CONFIGS = {
    PLAIN: "",
    "fifo": "infrastructure: { queue: { type: 'fifo' } },",
    "priority": "infrastructure: { queue: { priority: 10 } },",
    "throttle": "infrastructure: { queue: { throttle: { concurrency: 1000 } } },",
    "atomic": "atomic: true,",
}
BATCH = "batch"

# Its second try sees what the first one wrote, unless that was undone with the failure.
_ATOMIC_PROBE = """
exports.config = {
  type: 'event', name: 'AtomicProbe', subscribes: ['probe.atomic'], emits: [], atomic: true,
  infrastructure: { queue: { maxRetries: 1, backoff: { type: 'fixed', baseSeconds: 0.1 } } },
}
exports.handler = async ({ run }, { state, attempt }) => {
  if (attempt > 1) {
    await state.set(run, 'probe', { at: 0, kept: (await state.get(run, 'first')) !== null })
    return
  }
  await state.set(run, 'first', { at: 0 })
  throw new Error('on purpose, to see whether the write stays')
}
"""


def run(settings: Settings) -> list[Table]:
    """One table; an option that the running Stepweave does not know is left out, with a note."""
    steps = {**hop_steps.ends(), **hop_steps.batch(_topic(BATCH))}
    for name, config in CONFIGS.items():
        emit = "messageGroupId: hop.chain" if name == "fifo" else ""
        steps |= hop_steps.loop("javascript", _topic(name), config=config, emit=emit)
    names = [*CONFIGS, BATCH]
    steps |= hop_steps.start([*(_topic(name) for name in names), "probe.atomic"])
    steps["atomic-probe.step.js"] = _ATOMIC_PROBE
    notes = [f"{CHAINS} chains at once, JavaScript; batch: up to 100 events a call; {CPU}"]
    with servers.stepweave(steps) as ours:
        project = Project(ours)
        cases = []
        for name in names:
            try:
                project.hops(_topic(name), 2, 2, PROBE_LIMIT_S)
                if name == "atomic":
                    _probe_atomic(project)
            except NotAvailable as reason:
                notes.append(f"{name} left out: {reason}")
                continue
            against = None if name == PLAIN else PLAIN
            cases.append(Case(name, timed(project, _topic(name), CHAINS, settings), against))
        rows = take_turns(cases, settings.rounds, "hops/s")
    return [Table("options: what a subscription's options cost", ("hops/s", "cpu µs"), rows, notes)]


def _probe_atomic(project: Project) -> None:
    run = project.name()
    project.post("/bench/hops", {"run": run, "topic": "probe.atomic", "chains": 1, "length": 0})
    deadline = time.monotonic() + PROBE_LIMIT_S
    while time.monotonic() < deadline:
        for entry in project.ends(run, 0):
            if "kept" in entry:
                if entry["kept"]:
                    raise NotAvailable("what a failed try wrote was kept")
                return
        time.sleep(0.1)
    raise NotAvailable("the probe was not tried again")


def _topic(name: str) -> str:
    return f"option.{name}"
