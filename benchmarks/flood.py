"""How fast one handler can emit: a loop that awaits each event, and 50 in flight."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import hop_steps, servers
from benchmarks.processes import NotAvailable, run_json
from benchmarks.project import Project
from benchmarks.rounds import Case, Figures, take_turns
from benchmarks.settings import Settings
from benchmarks.table import Table

__all__ = ["run"]

LANGUAGES = ("javascript", "python", "ruby")
DEPTHS = (1, 50)

_JAVASCRIPT = """
exports.config = {
  type: 'api', name: 'FloodJavaScript', method: 'POST', path: '/flood/javascript',
  emits: ['flood'],
}
exports.handler = async (req, { emit }) => {
  const { run, count, depth, note } = req.body
  let left = count
  const began = process.hrtime.bigint()
  await Promise.all(Array.from({ length: depth }, async () => {
    while (left-- > 0) await emit({ topic: 'flood', data: { run, count, note } })
  }))
  return { status: 200, body: { us: Number((process.hrtime.bigint() - began) / 1000n) } }
}
"""

_PYTHON = """
import asyncio
import time

config = {
    "type": "api", "name": "FloodPython", "method": "POST", "path": "/flood/python",
    "emits": ["flood"],
}
async def handler(req, context):
    body, emit = req["body"], context["emit"]
    data = {"run": body["run"], "count": body["count"], "note": body["note"]}
    numbers = iter(range(body["count"]))

    async def worker():
        for _ in numbers:
            await emit({"topic": "flood", "data": data})

    began = time.monotonic_ns()
    await asyncio.gather(*(worker() for _ in range(body["depth"])))
    return {"status": 200, "body": {"us": (time.monotonic_ns() - began) // 1000}}
"""

_RUBY = """
def config
  {type: "api", name: "FloodRuby", method: "POST", path: "/flood/ruby", emits: ["flood"]}
end
def handler(req, context)
  body = req[:body]
  emit = context[:emit]
  data = {run: body[:run], count: body[:count], note: body[:note]}
  share = body[:count] / body[:depth]
  began = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
  threads = Array.new(body[:depth]) do
    Thread.new { share.times { emit.call(topic: "flood", data: data) } }
  end
  threads.each(&:join)
  took = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond) - began
  {status: 200, body: {us: took}}
end
"""

_TAKER = """
const now = () => Number(process.hrtime.bigint() / 1000n)
const seen = new Map()

exports.config = { type: 'event', name: 'Taker', subscribes: ['flood'], emits: [] }
exports.handler = async ({ run, count }, { state }) => {
  const taken = (seen.get(run) ?? 0) + 1
  seen.set(run, taken)
  if (taken === count) await state.set(run, 'all', { at: now() })
}
"""

STEPS = {
    "flood-javascript.step.js": _JAVASCRIPT,
    "flood_python_step.py": _PYTHON,
    "flood-ruby.step.rb": _RUBY,
    "taker.step.js": _TAKER,
    **hop_steps.ends(),
}


def run(settings: Settings) -> list[Table]:
    """One table, each language with 1 and 50 emits in flight."""
    notes = ["one handler emits events of about 200 bytes while a JavaScript step takes them"]
    with servers.stepweave(STEPS) as ours:
        project = Project(ours)
        cases: list[Case] = []
        for depth in DEPTHS:
            bare = f"bare SQLite, {depth} in flight"
            cases.append(Case(bare, _ceiling(depth, settings)))
            for language in LANGUAGES:
                name = f"{language} step, {depth} in flight"
                try:
                    _flood(project, language, depth, 500)
                except (NotAvailable, OSError) as reason:
                    notes.append(f"{name} left out: {reason}")
                    continue
                cases.append(Case(name, _measured(project, language, depth, settings), bare))
        rows = take_turns(cases, settings.rounds, "emits/s")
    return [Table("flood: events that emit accepts", ("emits/s", "taken/s"), rows, notes)]


def _measured(
    project: Project, language: str, depth: int, settings: Settings
) -> Callable[[], Figures]:
    count = 1000

    def measure() -> Figures:
        nonlocal count
        figures = _flood(project, language, depth, count)
        # A whole share for each in flight, in as many as fill about `seconds`.
        count = max(10, int(figures["emits/s"] * settings.seconds / depth)) * depth
        return figures

    return measure


def _flood(project: Project, language: str, depth: int, count: int) -> Figures:
    run = project.name()
    asked = {"run": run, "count": count, "depth": depth, "note": "x" * 150}
    began = project.now()
    took: float = project.post(f"/flood/{language}", asked)["us"]
    [end] = project.ends(run, 1)
    return {"emits/s": count / (took / 1e6), "taken/s": count / ((end["at"] - began) / 1e6)}


def _ceiling(depth: int, settings: Settings) -> Callable[[], Figures]:
    def measure() -> Figures:
        arguments = ("put", str(depth), str(settings.seconds))
        return {"emits/s": run_json("benchmarks.bare.sqlite_commits", *arguments)["ops/s"]}

    return measure
