"""State operations from a handler: 40 in a row per request, against SQLite's group commit."""

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

_NODE = """
export const config = {
  type: 'api', name: 'State @language@', method: 'POST', path: '/state/@language@', emits: [],
}
export const handler = async (req@any@, { state }@any@) => {
  const { operation, count, value } = req.body
  for (let i = 0; i < count; i++) {
    const key = `k${i % 20}`
    if (operation === 'set') await state.set('bench', key, value)
    else if (operation === 'get') await state.get('bench', key)
    else await state.increment('count', key)
  }
  return { status: 200, body: { count } }
}
"""

_PYTHON = """
config = {
    "type": "api", "name": "State python", "method": "POST", "path": "/state/python", "emits": [],
}
async def handler(req, context):
    body, state = req["body"], context["state"]
    operation = body["operation"]
    for i in range(body["count"]):
        key = f"k{i % 20}"
        if operation == "set":
            await state.set("bench", key, body["value"])
        elif operation == "get":
            await state.get("bench", key)
        else:
            await state.increment("count", key)
    return {"status": 200, "body": {"count": body["count"]}}
"""

_RUBY = """
def config
  {type: "api", name: "State ruby", method: "POST", path: "/state/ruby", emits: []}
end
def handler(req, context)
  body = req[:body]
  state = context[:state]
  operation = body[:operation]
  body[:count].times do |i|
    key = "k#{i % 20}"
    case operation
    when "set" then state.set("bench", key, body[:value])
    when "get" then state.get("bench", key)
    else state.increment("count", key)
    end
  end
  {status: 200, body: {count: body[:count]}}
end
"""

STEPS = {
    "state-javascript.step.mjs": _NODE.replace("@any@", "").replace("@language@", "javascript"),
    "state-typescript.step.ts": _NODE.replace("@any@", ": any").replace("@language@", "typescript"),
    "state_python_step.py": _PYTHON,
    "state-ruby.step.rb": _RUBY,
}
LANGUAGES = ("typescript", "javascript", "python", "ruby")
OPERATIONS = ("get", "set", "increment")
BARE = {"get": "get", "set": "set", "increment": "update"}
COUNT = 40


def run(settings: Settings) -> list[Table]:
    """A table for each operation, with 1 and 50 requests in flight."""
    with servers.stepweave(STEPS) as ours:
        return [_table(ours.base, operation, settings) for operation in OPERATIONS]


def _table(base: str, operation: str, settings: Settings) -> Table:
    body = json.dumps({"operation": operation, "count": COUNT, "value": json.loads(BODY)})

    def ceiling(depth: int) -> Callable[[], Figures]:
        arguments = (BARE[operation], str(depth), str(settings.seconds))
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
    note = f"a request makes {COUNT} operations in a row and, after a write, waits for the disk"
    size = " of about 200 bytes" if operation != "increment" else ""
    return Table(f"state: {operation}{size}", ("ops/s",), rows, [note])
