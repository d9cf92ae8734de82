"""API steps against bare servers: a POST of about 200 bytes, 50 and 10 connections."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import load, servers
from benchmarks.calls import BODY
from benchmarks.processes import NotAvailable, cpu_s
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


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint and the process that serves it, with all its children."""

    url: str
    pid: int


def run(settings: Settings) -> list[Table]:
    """One table per number of connections."""
    notes = [
        f"load by {load.tool()}, one process each; body {len(BODY)} bytes",
        "cpu: processor time per request of the server and its children",
    ]
    with contextlib.ExitStack() as stack:
        targets: dict[str, Target] = {}
        for name in BASELINES:
            try:
                bare = stack.enter_context(servers.bare(name))
                targets[name] = Target(f"{bare.base}/bench", bare.pid)
            except NotAvailable as reason:
                notes.append(f"{name} left out: {reason}")
        ours = stack.enter_context(servers.stepweave(STEPS))
        for language in LANGUAGES:
            targets[f"{language} step"] = Target(f"{ours.base}/bench/{language}", ours.pid)
        return [_table(targets, connections, settings, notes) for connections in (50, 10)]


def _table(
    targets: dict[str, Target], connections: int, settings: Settings, notes: list[str]
) -> Table:
    def measure(target: Target) -> Callable[[], Figures]:
        def once() -> Figures:
            used = cpu_s(target.pid)
            figures = load.post(target.url, BODY, connections=connections, seconds=settings.seconds)
            used = cpu_s(target.pid) - used
            return {**figures, "cpu µs": used / figures["requests"] * 1e6}

        return once

    for target in targets.values():
        load.post(target.url, BODY, connections=connections, seconds=0.5)
    cases = [
        Case(name, measure(target), None if name == "starlette" else "starlette")
        for name, target in targets.items()
    ]
    rows = take_turns(cases, settings.rounds, "req/s")
    columns = ("req/s", "p50 µs", "p99 µs", "cpu µs")
    return Table(f"http: API steps, {connections} connections", columns, rows, notes)
