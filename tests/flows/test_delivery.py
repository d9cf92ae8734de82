"""Batches, held groups and atomic steps with handlers in every language."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from stepweave import payload
from stepweave.engine.delivery import gathering
from stepweave.errors import StepweaveError
from tests.flows.harness import start
from tests.flows.languages import LANGUAGES

pytestmark = pytest.mark.anyio

NAMES = list(LANGUAGES)

_JS = {
    "atomic": """
await state.increment('counted', data.language)
await state.set('last', data.language, data.n)
const n = await state.get('counted', data.language)
await context.streams.board.set('g', data.language, { n })
await emit({ topic: 'after', data })
if (context.attempt < 3) throw new Error('not yet')
""",
    "batch": """
await state.set('batches', String(data[0].n), data.map((each) => each.n))
const tries = context.events.map((event) => event.attempt)
return { failed: data.flatMap((each, i) => (each.n === 2 && tries[i] === 1 ? [i] : [])) }
""",
    "fifo": """
if (data.bad) throw new Error('poisoned')
await state.update('seen', data.language, [{ op: 'append', value: data.n }])
""",
}
BODIES: Mapping[str, Mapping[str, str]] = {
    "typescript": _JS,
    "javascript": _JS,
    "python": {
        "atomic": """
    await state.increment("counted", data["language"])
    await state.set("last", data["language"], data["n"])
    count = await state.get("counted", data["language"])
    await context.streams.board.set("g", data["language"], {"n": count})
    await emit({"topic": "after", "data": data})
    if context.attempt < 3:
        raise RuntimeError("not yet")
""",
        "batch": """
    await state.set("batches", str(data[0]["n"]), [each["n"] for each in data])
    tries = [event["attempt"] for event in context.events]
    return {"failed": [i for i, each in enumerate(data) if each["n"] == 2 and tries[i] == 1]}
""",
        "fifo": """
    if data.get("bad"):
        raise RuntimeError("poisoned")
    await state.update("seen", data["language"], [{"op": "append", "value": data["n"]}])
""",
    },
    "ruby": {
        "atomic": """
  state.increment('counted', data[:language])
  state.set('last', data[:language], data[:n])
  count = state.get('counted', data[:language])
  context.streams.board.set('g', data[:language], { n: count })
  emit.call(topic: 'after', data: data)
  raise 'not yet' if context.attempt < 3
""",
        "batch": """
  state.set('batches', data[0][:n].to_s, data.map { |each| each[:n] })
  tries = context.events.map { |event| event[:attempt] }
  { failed: data.each_index.select { |i| data[i][:n] == 2 && tries[i] == 1 } }
""",
        "fifo": """
  raise 'poisoned' if data[:bad]
  state.update('seen', data[:language], [{ op: 'append', value: data[:n] }])
""",
    },
}

_QUEUES = {
    "atomic": "queue: { backoff: { type: 'fixed', baseSeconds: 0.01 } }",
    "batch": "queue: { batch: { size: 4, waitMs: 500 }, backoff: { baseSeconds: 0.01 } }",
    "fifo": "queue: { type: 'fifo', maxRetries: 0 }",
}


def _more(language: str, what: str) -> str:
    """The rest of a config, in the language's own spelling."""
    block = f"infrastructure: {{ {_QUEUES[what]} }}"
    if what == "atomic":
        block += ", atomic: true"
    if language != "python":
        return block
    for key in ("infrastructure", "queue", "backoff", "type", "baseSeconds", "batch", "size",
                "waitMs", "maxRetries", "atomic"):  # fmt: skip
        block = block.replace(f"{key}:", f"'{key}':")
    return block.replace("true", "True")


def step_file(language: str, what: str) -> dict[str, str]:
    """An event step of one language for the topic `<what>.<language>`."""
    kind = LANGUAGES[language]
    body = BODIES[language][what]
    if language in ("typescript", "javascript"):
        template = kind.event.replace("{{ emit, state, logger, traceId }}: any", "context: any")
        template = template.replace("{{ emit, state, logger, traceId }}", "context")
        body = "const { emit, state } = context\n" + body
    else:
        template = kind.event
    text = template.format(
        name=f"{what.title()}{language.title()}",
        subscribes=f"'{what}.{language}'",
        more=_more(language, what),
        body=body,
    )
    return {f"steps/{what}-{language}{kind.suffix}".replace("-", "_"): text}


BOARD = {"streams/board.stream.js": "exports.config = { name: 'board', schema: { n: 'number' } }\n"}
AFTER = {
    "steps/after.step.py": """
    config = {"type": "event", "name": "After", "subscribes": ["after"], "emits": []}
    async def handler(data, context):
        ops = [{"op": "append", "value": data["n"]}]
        await context.state.update("after", data["language"], ops)
    """
}


@pytest.mark.parametrize("language", NAMES)
async def test_an_atomic_step_takes_effect_once_however_often_it_ran(
    tmp_path: Path, language: str
) -> None:
    async with start(tmp_path, step_file(language, "atomic") | BOARD | AFTER) as running:
        for n in range(5):
            await running.emit(f"atomic.{language}", {"language": language, "n": n})
        await running.settled()
        assert await running.state("counted") == {language: 5}
        assert sorted((await running.state("after"))[language]) == [0, 1, 2, 3, 4]
        assert await running.dead() == []


@pytest.mark.parametrize("language", NAMES)
async def test_a_batch_handler_takes_a_list_and_names_those_that_failed(
    tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A slow disk may take longer to commit the events than the first of a batch waits.
    monkeypatch.setattr(gathering, "now_ms", lambda: 0)
    async with start(tmp_path, step_file(language, "batch")) as running:
        await asyncio.gather(*(running.emit(f"batch.{language}", {"n": n}) for n in range(4)))
        await running.settled()
        assert await running.state("batches") == {"0": [0, 1, 2, 3], "2": [2]}


@pytest.mark.parametrize("language", NAMES)
async def test_a_poisoned_group_waits_over_a_restart_until_it_is_mended(
    tmp_path: Path, language: str
) -> None:
    files = step_file(language, "fifo")
    topic = f"fifo.{language}"
    async with start(tmp_path, files) as running:
        for n, bad in ((0, False), (1, True), (2, False), (3, False)):
            await running.emit(topic, {"language": language, "n": n, "bad": bad}, group="g")
        await running.emit(topic, {"language": "other", "n": 9}, group="h")
        await running.until(running.dead, "the dead letter")
        await running.until(lambda: running.state("seen"), "the first")
    async with start(tmp_path) as running:
        await running.emit(topic, {"language": language, "n": 4}, group="g")
        await running.emit(topic, {"language": "other", "n": 10}, group="h")

        async def others() -> bool:
            return (await running.state("seen")).get("other") == [9, 10]

        await running.until(others, "the other group")
        assert (await running.state("seen"))[language] == [0]
        (letter,) = await running.dead()
        mended = payload.encode({"language": language, "n": 1})
        answers: list[StepweaveError | None] = []
        running.it.bus.redrive(letter.id, lambda error, _: answers.append(error), (mended,))
        await running.settled()
        assert answers == [None]
        assert (await running.state("seen"))[language] == [0, 1, 2, 3, 4]


async def test_a_killed_runner_leaves_nothing_of_an_atomic_run(tmp_path: Path) -> None:
    files = {
        "steps/book.step.py": """
        import os
        config = {"type": "event", "name": "Book", "subscribes": ["book"], "emits": [],
                  "atomic": True}
        async def handler(data, context):
            total = await context.state.increment("books", "total", data)
            await context.emit({"topic": "booked", "data": total})
            if context.attempt == 1:
                os._exit(9)
        """,
        "steps/booked.step.ts": """
        export const config = { type: 'event', name: 'Booked', subscribes: ['booked'], emits: [] }
        export const handler = async (total: number, { state }: any) => {
          await state.update('books', 'booked', [{ op: 'append', value: total }])
        }
        """,
    }
    async with start(tmp_path, files) as running:
        for amount in (1, 10, 100):
            await running.emit("book", amount)
        await running.settled()
        books = await running.state("books")
        assert books["total"] == 111
        assert len(books["booked"]) == 3
        assert max(books["booked"]) == 111
