"""Calls per second through the runner pool: `… benchmarks.pool_calls RUNNER DEPTH SECONDS`.

The same calls as over the bare pipe, to a step whose handler returns its input. They go through
pool, child process, wire protocol and loader; bus, store and HTTP are not part of it. Prints one
line of JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import calls
from stepweave.calls import Call, Outcome
from stepweave.rpc.peer import RequestHandler
from stepweave.runners import manifest
from stepweave.runners.pools import Pools
from stepweave.trace import Span, new_trace_id

STEPS = {
    "python": (
        "echo.step.py",
        'config = {"type": "event", "name": "Echo", "subscribes": ["bench.echo"], "emits": []}\n'
        "async def handler(data, context):\n    return data\n",
    ),
    "node": (
        "echo.step.js",
        "exports.config = { type: 'event', name: 'Echo', subscribes: ['bench.echo'], emits: [] }\n"
        "exports.handler = async (data) => data\n",
    ),
    "ruby": (
        "echo.step.rb",
        'def config = {type: "event", name: "Echo", subscribes: ["bench.echo"], emits: []}\n'
        "def handler(data, _context) = data\n",
    ),
}


@dataclass(frozen=True, slots=True)
class Echo:
    """The little that the pool wants to know of a step."""

    relpath: str
    language: str
    name: str = "Echo"
    revision: int = 1


class NoServices:
    """The steps here ask for nothing; what runners say is shown."""

    def requests(self, calls: Mapping[int, Call]) -> Mapping[str, RequestHandler]:
        return {}

    def log(self, calls: Mapping[int, Call], params: Mapping[str, Any]) -> None:
        print(params, file=sys.stderr)

    def stderr(self, runner: str, line: str) -> None:
        print(f"{runner}: {line}", file=sys.stderr)


async def main(runner: str, depth: int, seconds: float) -> calls.Figures:
    """Figures of the closed loop through the pool of this runner."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root = Path(folder)
        name, text = STEPS[runner]
        (root / name).write_text(text)
        pools = Pools(manifest.built_in(), NoServices(), root, development=False)
        step = Echo(name, pools.extensions["." + name.rsplit(".", 1)[1]])
        pool = await pools.ensure(step.language)
        await pool.load(step.relpath, root / name, step.revision)

        def call(done: calls.Done) -> None:
            span = Span(new_trace_id(), step.name, "event", step.language)

            def finished(outcome: Outcome) -> None:
                if outcome.status != "ok":
                    raise SystemExit(f"{runner}: {outcome.error}")
                done(outcome.result)

            deadline = time.monotonic() + 300
            asked = calls.PARAMS["input"]
            pools.dispatch(Call(step, "event", asked, span, finished, deadline=deadline))

        figures = await calls.closed_loop(call, depth, seconds)
        await pools.stop(1.0)
        return figures


if __name__ == "__main__":
    _, given_runner, given_depth, given_seconds = sys.argv
    print(json.dumps(uvloop.run(main(given_runner, int(given_depth), float(given_seconds)))))
