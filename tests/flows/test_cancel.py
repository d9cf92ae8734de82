"""Deadlines and cancellation: what handlers see of them, and what becomes of their neighbours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepweave.runners import child
from tests.flows.harness import LIMIT_S, Running, start

pytestmark = pytest.mark.anyio

GRACE = {f"STEPWEAVE_RUNNERS_{name}_CANCEL_GRACE_S": "0.5" for name in ("NODE", "PYTHON", "RUBY")}

TS = """
import { setTimeout as sleep } from 'node:timers/promises'
export const config = { type: 'api', name: 'ts', method: 'POST', path: '/ts' }
export const handler = async (_req: any, ctx: any) => {
  const left = ctx.deadline.getTime() - Date.now()
  const same = left > 0 && left <= 3000 && ctx.remainingMs() <= 3000
  ctx.logger.info(`ts began: ${same}`)
  try {
    await sleep(3_600_000, undefined, { signal: ctx.signal })
  } finally {
    const late = await ctx.emit({ topic: 'late' }).catch((error: any) => error.code)
    ctx.logger.info(`ts ended: ${ctx.signal.reason.reason}, ${late}`)
  }
}
"""
PYTHON = """
import asyncio, datetime, time
config = {"type": "api", "name": "NAME", "method": "POST", "path": "/NAME"}
async def handler(req, context):
    left = (context.deadline - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    same = 0 < left <= 3 and context.remaining_ms() <= 3000
    context.logger.info(f"NAME began: {same}".replace("True", "true"))
    try:
        WAIT
    except asyncio.CancelledError as error:
        try:
            await context.emit({"topic": "late"})
        except asyncio.CancelledError:
            context.logger.info(f"NAME ended: {error}, cancelled")
        raise
"""
WAITS = {
    "py": PYTHON.replace("WAIT", "await asyncio.sleep(3600)"),
    "py_loop": PYTHON.replace("WAIT", "while not context.get('nothing'): pass"),
}
RUBY = """
def config = { type: 'api', name: 'rb', method: 'POST', path: '/rb' }
def handler(req, context)
  left = context.deadline - Time.now
  same = left > 0 && left <= 3 && context.remaining_ms <= 3000
  context.logger.info("rb began: #{same}")
  begin
    sleep
  ensure
    late = begin
      context.emit(topic: 'late')
    rescue => e
      e.code
    end
    context.logger.info("rb ended: #{context.cancel_reason}, #{late}")
  end
end
"""
NAMES = ["ts", "py", "py_loop", "rb"]


def waiting() -> dict[str, str]:
    """A step for each way to wait, which says when it begins and why it ends."""
    files = {"steps/ts.step.ts": TS, "steps/rb.step.rb": RUBY}
    for name, text in WAITS.items():
        if name == "py_loop":
            text = text.replace("async def", "def").replace("await ", "")
        files[f"steps/{name}.step.py"] = text.replace("NAME", name)
    return files


def as_event(text: str) -> str:
    """The same step, begun by an event instead of a request."""
    text = text.replace("type: 'api'", "type: 'event', subscribes: ['begin']")
    text = text.replace('"type": "api"', '"type": "event", "subscribes": ["begin"]')
    return re.sub(r""", "?(method|path)"?: ['"][^'"]*['"]""", "", text)


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    limit = {"STEPWEAVE_SERVER_REQUEST_TIMEOUT_S": "3"}
    async with start(tmp_path_factory.mktemp("cancel"), waiting(), **limit) as it:
        assert [str(p) for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it


@pytest.fixture(scope="module")
async def statuses(running: Running) -> dict[str, int]:
    """What each of the steps was answered, all at the same time."""
    answers = await asyncio.gather(*(running.http.post(f"/{name}") for name in NAMES))
    return {name: each.status_code for name, each in zip(NAMES, answers, strict=True)}


@pytest.mark.parametrize("name", NAMES)
async def test_a_handler_sees_its_deadline_and_is_told_when_it_has_passed(
    running: Running, statuses: dict[str, int], name: str
) -> None:
    assert statuses[name] == 504
    await running.until(lambda: f"{name} ended: timeout, cancelled" in running.messages)
    assert f"{name} began: true" in running.messages


async def test_handlers_that_outlive_a_shutdown_are_told_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_ANSWER_S", LIMIT_S)
    files = {path: as_event(text) for path, text in waiting().items()}
    async with start(tmp_path, files) as running:
        await running.emit("begin", None)
        await running.until(lambda: sum(" began: " in text for text in running.messages) == 4)

    for name in NAMES:
        assert f"{name} ended: shutdown, cancelled" in running.messages


STUCK = {
    "node": ("ts", "while (true) {}"),
    "python, a loop": ("py", "while True: pass"),
    "python, in C": ("py", "time.sleep(3600)"),
    "python, a loop on the event loop": ("async py", "while True: pass"),
    "ruby": ("rb", "begin; loop {}; rescue Exception; retry; end"),
}
QUEUE_TS = "infrastructure: { handler: { timeout: 1 }, queue: { maxRetries: 0 } }"
QUEUE_PY = '"infrastructure": {"handler": {"timeout": 1}, "queue": {"maxRetries": 0}}'
STEPS = {
    "ts": {
        "steps/stuck.step.ts": f"""
            export const config = {{
              type: 'event', name: 'Stuck', subscribes: ['stuck'], {QUEUE_TS},
            }}
            export const handler = async (_data: any, {{ logger }}: any) => {{
              logger.info('stuck began'); await new Promise(setImmediate)
              BODY
            }}
        """,
        "steps/work.step.ts": """
            export const config = { type: 'event', name: 'Work', subscribes: ['work'] }
            export const handler = async (data: any, { state }: any) => {
              await new Promise((done) => setTimeout(done, 30))
              await state.increment('runs', data.id)
            }
        """,
        "steps/fine.step.ts": """
            export const config = { type: 'api', name: 'Fine', method: 'GET', path: '/fine' }
            export const handler = async () => {
              await new Promise((done) => setTimeout(done, 30))
              return { status: 200, body: 'fine' }
            }
        """,
    },
    "py": {
        "steps/stuck.step.py": f"""
            import time
            config = {{"type": "event", "name": "Stuck", "subscribes": ["stuck"], {QUEUE_PY}}}
            def handler(data, context):
                context.logger.info("stuck began")
                BODY
        """,
        "steps/work.step.py": """
            import asyncio
            config = {"type": "event", "name": "Work", "subscribes": ["work"]}
            async def handler(data, context):
                await asyncio.sleep(0.03)
                await context.state.increment("runs", data["id"])
        """,
        "steps/fine.step.py": """
            import time
            config = {"type": "api", "name": "Fine", "method": "GET", "path": "/fine"}
            def handler(req, context):
                time.sleep(0.03)
                return {"status": 200, "body": "fine"}
        """,
    },
    "rb": {
        "steps/stuck.step.rb": """
            def config
              { type: 'event', name: 'Stuck', subscribes: ['stuck'],
                infrastructure: { handler: { timeout: 1 }, queue: { maxRetries: 0 } } }
            end
            def handler(data, context)
              context.logger.info('stuck began')
              BODY
            end
        """,
        "steps/work.step.rb": """
            def config = { type: 'event', name: 'Work', subscribes: ['work'] }
            def handler(data, context)
              sleep 0.03
              context.state.increment('runs', data.id)
            end
        """,
        "steps/fine.step.rb": """
            def config = { type: 'api', name: 'Fine', method: 'GET', path: '/fine' }
            def handler(req, context)
              sleep 0.03
              { status: 200, body: 'fine' }
            end
        """,
    },
}


@pytest.mark.parametrize("how", STUCK)
async def test_a_handler_that_does_not_stop_costs_its_neighbours_nothing(
    how: str, tmp_path: Path
) -> None:
    form, body = STUCK[how]
    files = {name: text.replace("BODY", body) for name, text in STEPS[form[-2:]].items()}
    if form.startswith("async"):
        stuck = files["steps/stuck.step.py"]
        files["steps/stuck.step.py"] = stuck.replace("def handler", "async def handler")
    holds_the_runner = form in ("ts", "async py")
    async with start(tmp_path, files, **(GRACE if holds_the_runner else {})) as running:
        ids = {str(n) for n in range(50)}
        work = [running.emit("work", {"id": id}) for id in sorted(ids)]
        await asyncio.gather(*work[:25], running.emit("stuck", None), *work[25:])
        answers = await asyncio.gather(*(running.http.get("/fine") for _ in range(20)))
        await running.settled()

        runs = await running.state("runs")
        assert set(runs) == ids
        if not holds_the_runner:
            assert {answer.status_code for answer in answers} == {200}
            assert set(runs.values()) == {1}
        assert {answer.status_code for answer in answers} <= {200, 503, 504}
        assert [(letter.subscription, letter.reason) for letter in await running.dead()] == [
            ("Stuck", "timeout")
        ]
        assert (await running.http.get("/fine")).text == "fine"
        (pool,) = [pool for pool in running.it.pools.pools.values() if pool.children]
        assert (pool.restarts > 0) == holds_the_runner, running.messages
