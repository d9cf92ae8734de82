"""API steps against bare servers: a POST of about 200 bytes, 50 and 10 connections."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from benchmarks import load, servers
from benchmarks.calls import BODY
from benchmarks.processes import NotAvailable
from benchmarks.rounds import Case, Figures, take_turns
from benchmarks.settings import Settings
from benchmarks.table import Table

__all__ = ["STEPS", "run"]

STEPS = {
    "bench-typescript.step.ts": """
export const config = {
  type: 'api', name: 'BenchTypeScript', method: 'POST', path: '/bench/typescript', emits: [],
}
export const handler = async (req: any) => ({ status: 200, body: { id: req.body.id, ok: true } })
""",
    "bench-javascript.step.js": """
exports.config = {
  type: 'api', name: 'BenchJavaScript', method: 'POST', path: '/bench/javascript', emits: [],
}
exports.handler = async (req) => ({ status: 200, body: { id: req.body.id, ok: true } })
""",
    "bench_python.step.py": """
config = {
    "type": "api", "name": "BenchPython", "method": "POST", "path": "/bench/python", "emits": [],
}
async def handler(req, context):
    return {"status": 200, "body": {"id": req["body"]["id"], "ok": True}}
""",
    "bench-ruby.step.rb": """
def config
  {type: "api", name: "BenchRuby", method: "POST", path: "/bench/ruby", emits: []}
end
def handler(req, _context)
  {status: 200, body: {id: req[:body][:id], ok: true}}
end
""",
}
"""The same endpoint as the bare servers have, as a step in each language."""

LANGUAGES = ("typescript", "javascript", "python", "ruby")
BASELINES = ("starlette", "express", "fastify", "rack")


def run(settings: Settings) -> list[Table]:
    """One table per number of connections."""
    notes: list[str] = [f"load by {load.tool()}, one process each; body {len(BODY)} bytes"]
    with contextlib.ExitStack() as stack:
        bases: dict[str, str] = {}
        for name in BASELINES:
            try:
                bases[name] = stack.enter_context(servers.bare(name)).base + "/bench"
            except NotAvailable as reason:
                notes.append(f"{name} left out: {reason}")
        ours = stack.enter_context(servers.stepweave(STEPS)).base
        for language in LANGUAGES:
            bases[f"{language} step"] = f"{ours}/bench/{language}"
        return [_table(bases, connections, settings, notes) for connections in (50, 10)]


def _table(bases: dict[str, str], connections: int, settings: Settings, notes: list[str]) -> Table:
    def measure(url: str) -> Callable[[], Figures]:
        return lambda: load.post(url, BODY, connections=connections, seconds=settings.seconds)

    for url in bases.values():
        load.post(url, BODY, connections=connections, seconds=0.5)
    cases = [
        Case(name, measure(url), None if name == "starlette" else "starlette")
        for name, url in bases.items()
    ]
    rows = take_turns(cases, settings.rounds, "req/s")
    columns = ("req/s", "p50 µs", "p99 µs")
    return Table(f"http: API steps, {connections} connections", columns, rows, notes)
