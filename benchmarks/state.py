"""State operations from a handler: 20 in a row per request, against SQLite's group commit."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks import load, servers
from benchmarks.calls import BODY
from benchmarks.processes import run_json
from benchmarks.rounds import Case, Figures, take_turns
from benchmarks.settings import Settings
from benchmarks.table import Table

__all__ = ["run"]

STEPS = {
    "state-javascript.step.js": """
exports.config = {
  type: 'api', name: 'StateJavaScript', method: 'POST', path: '/state/javascript', emits: [],
}
exports.handler = async (req, { state }) => {
  const { operation, count, value } = req.body
  for (let i = 0; i < count; i++) {
    if (operation === 'set') await state.set('bench', `k${i}`, value)
    else await state.get('bench', `k${i}`)
  }
  return { status: 200, body: { count } }
}
""",
    "state_python.step.py": """
config = {
    "type": "api", "name": "StatePython", "method": "POST", "path": "/state/python", "emits": [],
}
async def handler(req, context):
    body, state = req["body"], context["state"]
    for i in range(body["count"]):
        if body["operation"] == "set":
            await state.set("bench", f"k{i}", body["value"])
        else:
            await state.get("bench", f"k{i}")
    return {"status": 200, "body": {"count": body["count"]}}
""",
    "state-ruby.step.rb": """
def config
  {type: "api", name: "StateRuby", method: "POST", path: "/state/ruby", emits: []}
end
def handler(req, context)
  body = req[:body]
  state = context[:state]
  body[:count].times do |i|
    if body[:operation] == "set"
      state.set("bench", "k#{i}", body[:value])
    else
      state.get("bench", "k#{i}")
    end
  end
  {status: 200, body: {count: body[:count]}}
end
""",
}
LANGUAGES = ("javascript", "python", "ruby")
COUNT = 20


def run(settings: Settings) -> list[Table]:
    """A table for set and one for get, each with 1 and 50 requests in flight."""
    with servers.stepweave(STEPS) as ours:
        return [_table(ours.base, operation, settings) for operation in ("set", "get")]


def _table(base: str, operation: str, settings: Settings) -> Table:
    body = json.dumps({"operation": operation, "count": COUNT, "value": json.loads(BODY)})

    def ceiling(depth: int) -> Callable[[], Figures]:
        arguments = (operation, str(depth), str(settings.seconds))
        return lambda: run_json("benchmarks.bare.sqlite_commits", *arguments)

    def step(language: str, depth: int) -> Callable[[], Figures]:
        def measure() -> Figures:
            url = f"{base}/state/{language}"
            figures = load.post(url, body, connections=depth, seconds=settings.seconds)
            return {"ops/s": figures["req/s"] * COUNT}

        return measure

    cases = []
    for depth in (1, 50):
        cases.append(Case(f"bare SQLite, {depth} at once", ceiling(depth)))
        for language in LANGUAGES:
            against = f"bare SQLite, {depth} at once"
            cases.append(Case(f"{language} step, {depth} at once", step(language, depth), against))
    rows = take_turns(cases, settings.rounds, "ops/s")
    note = f"a request makes {COUNT} operations in a row and, after a set, waits for the disk"
    return Table(f"state: {operation} of about 200 bytes", ("ops/s",), rows, [note])
