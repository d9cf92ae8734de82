"""Options of emit, withdrawn events and batches, with the bus, in every language."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepweave import payload
from stepweave.engine.delivery import gathering
from stepweave.engine.store.operations import StateClear, StateSet
from tests.flows.harness import Running, start
from tests.flows.probes import FORMS, probe

pytestmark = pytest.mark.anyio

EMIT = {
    "js": """
for (const event of req.body) out.push(await emit(event))
""",
    "py": """
for event in req.body:
    out.append(await emit(event))
""",
    "rb": """
req.body.each { |event| out << emit.call(event) }
""",
}
WITHDRAW = {
    "js": """
const { cancelEvent } = context
const id = await emit({ topic: 'later', data: 'never', delaySeconds: 900 })
out.push(await context.cancelEvent(id), await cancelEvent(id))
out.push(await cancelEvent('0123456789abcdef'))
try { await cancelEvent('no id') } catch (error) { out.push(error.code) }
""",
    "py": """
id = await emit({"topic": "later", "data": "never", "delay_seconds": 900})
cancel = context["cancel_event"]
out += [await context.cancel_event(id), await cancel(id), await cancel("0123456789abcdef")]
try:
    await cancel("no id")
except Exception as error:
    out.append(error.code)
""",
    "rb": """
id = emit.call(topic: 'later', data: 'never', delay_seconds: 900)
out << context.cancel_event(id) << context.cancelEvent(id)
out << context.cancel_event('0123456789abcdef')
begin
  context.cancel_event('no id')
rescue => error
  out << error.code
end
""",
}
ORDERED = """
import asyncio
config = {
    "type": "event", "name": "Ordered", "subscribes": ["ordered", "later"],
    "infrastructure": {"queue": {"concurrency": 1}},
}
async def handler(data, context):
    while data == "gate" and await context.state.get("gate", "open") is None:
        await asyncio.sleep(0.01)
    if data != "gate":
        await context.state.update("seen", "list", [{"op": "append", "value": data}])
"""
TAKERS = {
    "typescript": """
        export const config = {
          type: 'event', name: 'Takets', subscribes: ['take.typescript', 'take.two'],
          infrastructure: { queue: { batch: { size: 3, waitMs: 1000 }, backoff: BACKOFF } },
        }
        export const handler = async (items: number[], { events, logger }: any) => {
          logger.info('typescript took ' + JSON.stringify([items, events]))
          return { failed: events[0].attempt === 1 && items.length > 1 ? [1] : [] }
        }
    """,
    "javascript": """
        exports.config = {
          type: 'event', name: 'Takejs', subscribes: ['take.javascript'],
          infrastructure: { queue: { batch: { size: 3, waitMs: 1000 }, backoff: BACKOFF } },
        }
        exports.handler = async (items, { events, logger }) => {
          logger.info('javascript took ' + JSON.stringify([items, events]))
          return { failed: events[0].attempt === 1 && items.length > 1 ? [1] : [] }
        }
    """,
    "python": """
        import json
        config = {
            "type": "event", "name": "Takepy", "subscribes": ["take.python"],
            "infrastructure": {
                "queue": {"batch": {"size": 3, "wait_ms": 1000}, "backoff": BACKOFF},
            },
        }
        async def handler(items, context):
            events = context.events
            context.logger.info("python took " + json.dumps([items, events]))
            return {"failed": [1] if events[0]["attempt"] == 1 and len(items) > 1 else []}
    """,
    "python, sync": """
        import json
        config = {
            "type": "event", "name": "Takepysync", "subscribes": ["take.python, sync"],
            "infrastructure": {
                "queue": {"batch": {"size": 3, "wait_ms": 1000}, "backoff": BACKOFF},
            },
        }
        def handler(items, context):
            events = context["events"]
            context.logger.info("python, sync took " + json.dumps([items, events]))
            return {"failed": [1] if events[0]["attempt"] == 1 and len(items) > 1 else []}
    """,
    "ruby": """
        require 'json'
        def config
          { type: 'event', name: 'Takerb', subscribes: ['take.ruby'],
            infrastructure: { queue: { batch: { size: 3, wait_ms: 1000 }, backoff: BACKOFF } } }
        end
        def handler(items, context)
          events = context.events
          context.logger.info('ruby took ' + JSON.generate([items, events]))
          { failed: events[0].attempt == 1 && items.length > 1 ? [1] : [] }
        end
    """,
}
SUFFIX = {"typescript": "step.ts", "javascript": "step.js", "ruby": "step.rb"}


def project() -> dict[str, str]:
    files = {"steps/ordered.step.py": ORDERED}
    for form in FORMS:
        files |= probe("emit", form, EMIT)
        withdraw = WITHDRAW
        if form == "typescript":
            withdraw = WITHDRAW | {"js": WITHDRAW["js"].replace("(error)", "(error: any)")}
        files |= probe("withdraw", form, withdraw)
        name = form.replace(", ", "_")
        backoff = '{"base_seconds": 0.1}' if "python" in form else "{ baseSeconds: 0.1 }"
        text = TAKERS[form].replace("BACKOFF", backoff)
        files[f"steps/take_{name}.{SUFFIX.get(form, 'step.py')}"] = text
    return files


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("emit"), project()) as it:
        assert [str(p) for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it


async def ask(running: Running, name: str, form: str, body: Any = None) -> list[Any]:
    answer = await running.http.post(f"/{name}/{form.replace(', ', '_')}", json=body or [])
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()
    return found


@pytest.mark.parametrize("form", FORMS)
async def test_events_of_a_higher_priority_go_first(running: Running, form: str) -> None:
    await ask(running, "emit", form, [{"topic": "ordered", "data": "gate"}])
    wanted = {"low": -1000, "usual": None, "high": 10, "highest": 1000}
    events = [
        {"topic": "ordered", "data": data} | ({} if priority is None else {"priority": priority})
        for data, priority in wanted.items()
    ]
    ids = await ask(running, "emit", form, events)
    assert len(set(ids)) == 4 and all(isinstance(id, str) for id in ids)
    await open_gate(running)
    await running.settled()

    assert (await running.state("seen"))["list"] == ["highest", "high", "usual", "low"]
    await clear(running)


async def open_gate(running: Running) -> None:
    await running.it.store.apply([StateSet("gate", "open", payload.encode(True))])


async def clear(running: Running) -> None:
    await running.it.store.apply([StateClear("gate"), StateClear("seen")])


@pytest.mark.parametrize("form", FORMS)
async def test_a_scheduled_event_is_withdrawn_once(running: Running, form: str) -> None:
    assert await ask(running, "withdraw", form) == [1, 0, 0, "invalid_params"]
    await running.settled()
    assert "list" not in await running.state("seen")


@pytest.mark.parametrize("form", FORMS)
async def test_an_option_that_does_not_exist_is_said_in_the_log_once(
    running: Running, form: str
) -> None:
    events = [{"topic": "nobody", "delayMillis": 5}] * 3
    assert len(await ask(running, "emit", form, events)) == 3
    name = f"emit_{form.replace(', ', '_')}"
    said = [
        record.message
        for record in running.records
        if 'no option "delayMillis"' in record.message and record.step == name
    ]
    assert len(said) == 1


@pytest.mark.parametrize("form", FORMS)
async def test_a_batch_is_one_call_and_what_failed_of_it_comes_again(
    running: Running, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A slow disk may take longer to commit the events than the first of a batch waits.
    monkeypatch.setattr(gathering, "now_ms", lambda: 0)

    def took() -> list[Any]:
        start = f"{form} took "
        return [
            json.loads(text[len(start) :]) for text in running.messages if text.startswith(start)
        ]

    # At once, as a batch waits no longer than a second for others.
    ids = await asyncio.gather(*(running.emit(f"take.{form}", n) for n in range(3)))
    await running.until(lambda: len(took()) == 1, "the first batch")
    await running.settled()

    topic = f"take.{form}"
    assert took() == [
        [[0, 1, 2], [{"id": id, "topic": topic, "attempt": 1} for id in ids]],
        [[1], [{"id": ids[1], "topic": topic, "attempt": 2}]],
    ]
