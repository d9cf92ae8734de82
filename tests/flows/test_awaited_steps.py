"""Events for a step that does not load wait until it does, also over restarts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepweave.engine import ids
from stepweave.engine.desk.asking import ask
from tests.flows.harness import start, write

pytestmark = pytest.mark.anyio

STEP = "steps/keep.step.py"
REMEMBERED = ".stepweave/subscribers.json"
KEEP = {
    STEP: """
        config = {"type": "event", "name": "Keep", "subscribes": ["note", "memo"]}
        async def handler(data, context):
            await context.state.set("kept", data["id"], context.attempt)
    """,
}
IN_ORDER = {
    STEP: """
        config = {
            "type": "event", "name": "Keep", "subscribes": ["note"],
            "infrastructure": {"queue": {"type": "fifo"}},
        }
        async def handler(number, context):
            add = {"op": "append", "path": "", "value": number}
            await context.state.update("seen", "all", [add])
    """,
}
BROKEN = {STEP: "def handler(:\n"}


async def test_what_is_emitted_while_a_step_does_not_load_is_delivered_when_it_does(
    tmp_path: Path,
) -> None:
    async with start(tmp_path, KEEP) as running:
        await running.emit("note", {"id": "before"})
        await running.settled()
    async with start(tmp_path, BROKEN) as running:
        assert f"{STEP} does not load; events for Keep wait until it does" in running.messages
        await running.emit("note", {"id": "first"})
        await running.emit("memo", {"id": "second"})
    async with start(tmp_path) as running:
        await running.emit("note", {"id": "third"})
        assert running.it.bus.waiting == 3
    async with start(tmp_path, KEEP) as running:
        await running.settled()
        kept = await running.state("kept")
    assert kept == dict.fromkeys(["before", "first", "second", "third"], 1)


async def test_a_step_that_is_mended_while_it_runs_gets_what_waited(tmp_path: Path) -> None:
    async with start(tmp_path, KEEP):
        pass
    async with start(tmp_path, BROKEN, mode="dev") as running:
        ids = [f"event {number}" for number in range(20)]
        for id in ids:
            await running.emit("note", {"id": id})
        write(tmp_path, KEEP)
        await running.until(lambda: "Keep" in running.it.registry.steps, "the step")
        await running.settled()
        assert await running.state("kept") == dict.fromkeys(ids, 1)
        assert not running.it.bus.statistics()["parked"]


async def test_what_waits_keeps_its_order_and_can_be_cancelled(tmp_path: Path) -> None:
    async with start(tmp_path, IN_ORDER):
        pass
    async with start(tmp_path, BROKEN, mode="dev") as running:
        for number in range(8):
            group = "odd" if number % 2 else None
            id = ids.read(await running.emit("note", number, group=group))
            if number in (2, 3):
                assert await ask(lambda done, id=id: running.it.bus.cancel_event(id, done)) == 1
        write(tmp_path, IN_ORDER)
        await running.until(lambda: "Keep" in running.it.registry.steps, "the step")
        await running.settled()
        seen = await running.state("seen")
    assert sorted(seen["all"]) == [0, 1, 4, 5, 6, 7]
    assert [number for number in seen["all"] if number % 2] == [1, 5, 7]


async def test_a_step_whose_file_is_gone_gets_no_more_events(tmp_path: Path) -> None:
    async with start(tmp_path, KEEP):
        pass
    (tmp_path / STEP).unlink()
    async with start(tmp_path) as running:
        await running.emit("note", {"id": "nobody's"})
        await running.settled()
    assert json.loads((tmp_path / REMEMBERED).read_bytes()) == {}


async def test_a_step_that_moved_is_not_awaited_at_its_old_place(tmp_path: Path) -> None:
    async with start(tmp_path, KEEP):
        pass
    moved = {"steps/moved.step.py": KEEP[STEP], **BROKEN}
    async with start(tmp_path, moved) as running:
        await running.emit("note", {"id": "once"})
        await running.settled()
        assert await running.state("kept") == {"once": 1}


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', '{"a": ["A", 5, 0, 0]}', "{"])
async def test_a_damaged_memory_is_begun_anew(tmp_path: Path, content: str) -> None:
    write(tmp_path, {REMEMBERED: content})
    async with start(tmp_path, KEEP) as running:
        await running.emit("note", {"id": "one"})
        await running.settled()
    assert json.loads((tmp_path / REMEMBERED).read_bytes()) == {
        STEP: ["Keep", ["note", "memo"], 0, 0]
    }
