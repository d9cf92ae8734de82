"""Atomic steps: what a handler writes takes effect with its success, once, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepweave.calls import Call, Outcome
from stepweave.engine import ids, locks
from stepweave.engine.state import State
from stepweave.engine.streams import Change, Streams
from stepweave.errors import StepweaveError
from stepweave.payload import decode, encode
from stepweave.steps.model import Batch, Step
from tests.unit.engine_kit import LOST, OK, Rig, failed, step, until
from tests.unit.queue_kit import soon

pytestmark = pytest.mark.anyio


def atomic(name: str, *topics: str, **queue: Any) -> Step:
    return replace(step(name, topics or ("a.b",), **queue), atomic=True)


class Handler:
    """A handler that the test writes as a coroutine over its context."""

    def __init__(self, world: World, call: Call) -> None:
        self.world = world
        self.call = call
        self.data = decode(call.input["data"])
        self.attempt = call.attempt

    async def _ask(self, method: Callable[..., None], *args: Any, **more: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(error: StepweaveError | None, result: Any) -> None:
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        method(self.call, *args, done=done, **more)
        return await answer

    async def get(self, group: str, key: str) -> Any:
        found = await self._ask(self.world.state.get, group, key)
        return None if found is None else decode(found)

    async def set(self, group: str, key: str, value: Any, *expect: Any) -> None:
        expected = (None if expect[0] is None else encode(expect[0]),) if expect else None
        await self._ask(
            self.world.state.set, group, key, encode(value), ttl_ms=None, expect=expected
        )

    async def add(self, group: str, key: str) -> Any:
        ops = [{"op": "increment"}]
        return decode(await self._ask(self.world.state.update, group, key, ops, expect=None))

    async def delete(self, group: str, key: str) -> Any:
        found = await self._ask(self.world.state.delete, group, key)
        return None if found is None else decode(found)

    async def group(self, group: str) -> dict[str, Any]:
        rows = await self._ask(self.world.state.list, group, after=None, limit=None)
        return {key: decode(value) for key, value in rows}

    async def clear(self, group: str) -> Any:
        return await self._ask(self.world.state.clear, group)

    async def groups(self) -> Any:
        return await self._ask(self.world.state.groups)

    async def put(self, id: str, item: dict[str, Any]) -> Any:
        return decode(await self._ask(self.world.streams.set, "board", "g", id, encode(item)))

    async def item(self, id: str) -> Any:
        found = await self._ask(self.world.streams.get, "board", "g", id)
        return None if found is None else decode(found)

    async def items(self) -> list[Any]:
        rows = await self._ask(self.world.streams.list, "board", "g")
        return [decode(value) for _id, value in rows]

    async def remove(self, id: str) -> Any:
        found = await self._ask(self.world.streams.delete, "board", "g", id)
        return None if found is None else decode(found)

    async def shout(self, text: str) -> None:
        await self._ask(self.world.streams.send, "board", "g", None, text, encode(None))

    async def emit(self, topic: str, data: Any, **more: Any) -> str:
        options = {"event_key": None, "group": None, "due_at": None, **more}
        return str(await self._ask(self.world.rig.bus.emit, topic, encode(data), **options))


Body = Callable[[Handler], Any]


class World:
    """A bus, a state and streams, with handlers that are coroutines."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.state = State(rig.store)
        self.streams = Streams(rig.store, lambda name: True)
        self.changes: list[Change] = []
        self.streams.listeners.append(self.changes.append)
        self.errors: list[Exception] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def handler(self, name: str, body: Body) -> None:
        def run(call: Call) -> None:
            task = asyncio.get_running_loop().create_task(self._run(Handler(self, call), body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self.rig.handler(name, run)

    async def _run(self, handler: Handler, body: Body) -> None:
        outcome = OK
        try:
            answer = await body(handler)
            outcome = answer if isinstance(answer, Outcome) else OK
        except StepweaveError as error:
            self.errors.append(error)
            outcome = Outcome("error", None, error.to_wire())
        self.rig.runners.running -= 1
        handler.call.finish(outcome)

    def read(self, group: str, key: str) -> Any:
        """What others see, once all that is under way is written."""
        found: list[Any] = []
        self.rig.store.state_get(group, key, lambda error, value: found.append(value))
        return decode(found[0]) if found and found[0] is not None else None


Start = Callable[..., World]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    worlds: list[World] = []

    def make(*steps: Step) -> World:
        worlds.append(World(Rig(tmp_path, *steps)))
        return worlds[-1]

    yield make
    for world in worlds:
        await world.rig.close()


async def test_nothing_is_seen_before_the_handler_has_succeeded(start: Start) -> None:
    world = start(atomic("A"), step("B", ("next",)))
    seen: list[Any] = []

    async def body(ctx: Handler) -> None:
        await ctx.set("g", "k", 1)
        await ctx.put("x", {"n": 1})
        await ctx.emit("next", "after")
        await ctx.shout("hello")
        await world.rig.store.apply(())
        seen.append((world.read("g", "k"), list(world.changes), world.rig.seen("B")))

    world.handler("A", body)
    await world.rig.publish()
    await world.rig.settled()
    assert seen == [(None, [], [])]
    assert world.read("g", "k") == 1
    assert [(change.type, change.name) for change in world.changes] == [
        ("create", None),
        ("event", "hello"),
    ]
    assert world.rig.seen("B") == ["after"]


@pytest.mark.parametrize("end", [failed("no"), LOST], ids=["failed", "lost"])
async def test_a_run_that_does_not_succeed_leaves_nothing(start: Start, end: Outcome) -> None:
    world = start(atomic("A"), step("B", ("next",)))

    async def body(ctx: Handler) -> Any:
        await ctx.add("g", "count")
        await ctx.put("x", {"n": ctx.attempt})
        await ctx.emit("next", ctx.attempt)
        return end if ctx.attempt < 3 else OK

    world.handler("A", body)
    await world.rig.publish()
    await world.rig.settled()
    assert world.read("g", "count") == 1
    assert world.rig.seen("B") == [3]
    assert [decode(change.data)["n"] for change in world.changes] == [3]  # type: ignore[arg-type]


async def test_a_handler_reads_what_it_wrote(start: Start) -> None:
    world = start(atomic("A"))
    await world.rig.store.apply(())
    found: dict[str, Any] = {}

    async def body(ctx: Handler) -> None:
        await ctx.set("g", "a", 1)
        await ctx.set("g", "b", {"deep": [1]})
        found["get"] = await ctx.get("g", "a")
        found["add"] = [await ctx.add("g", "n"), await ctx.add("g", "n"), await ctx.get("g", "n")]
        found["delete"] = [await ctx.delete("g", "a"), await ctx.get("g", "a")]
        found["group"] = await ctx.group("g")
        found["groups"] = await ctx.groups()
        found["clear"] = [await ctx.clear("g"), await ctx.group("g"), await ctx.get("g", "b")]
        await ctx.set("g", "after", True)
        found["after"] = await ctx.group("g")
        found["put"] = await ctx.put("y", {"n": 1})
        await ctx.put("x", {"n": 2})
        found["items"] = await ctx.items()
        found["remove"] = [await ctx.remove("y"), await ctx.remove("none"), await ctx.item("y")]

    world.handler("A", body)
    await world.rig.publish()
    await world.rig.settled()
    assert world.errors == []
    assert found == {
        "get": 1,
        "add": [1, 2, 2],
        "delete": [1, None],
        "group": {"b": {"deep": [1]}, "n": 2},
        "groups": ["g"],
        "clear": [2, {}, None],
        "after": {"after": True},
        "put": {"n": 1, "id": "y"},
        "items": [{"n": 1, "id": "y"}, {"n": 2, "id": "x"}],
        "remove": [{"n": 1, "id": "y"}, None, None],
    }
    assert world.read("g", "after") is True
    assert world.read("g", "n") is None


async def test_what_was_there_before_is_seen_as_well(start: Start) -> None:
    world = start(step("Before", ("first",)), atomic("A"))

    async def before(ctx: Handler) -> None:
        await ctx.set("g", "old", 1)
        await ctx.set("g", "gone", 2)
        await ctx.put("x", {"n": 1})

    found: list[Any] = []

    async def body(ctx: Handler) -> None:
        await ctx.delete("g", "gone")
        await ctx.set("g", "new", 3)
        await ctx.put("y", {"n": 2})
        found.extend((await ctx.group("g"), [each["id"] for each in await ctx.items()]))

    world.handler("Before", before)
    world.handler("A", body)
    await world.rig.publish("first")
    await world.rig.settled()
    await world.rig.publish()
    await world.rig.settled()
    assert found == [{"old": 1, "new": 3}, ["x", "y"]]


async def test_counters_are_exact_however_many_count_at_once(start: Start) -> None:
    world = start(atomic("A", concurrency=32))
    numbers: list[int] = []

    async def body(ctx: Handler) -> None:
        numbers.append(await ctx.add("g", "count"))

    world.handler("A", body)
    for _ in range(100):
        await world.rig.publish()
    await world.rig.settled()
    assert world.read("g", "count") == 100
    assert sorted(set(numbers)) == list(range(1, 101))


async def test_reading_and_then_writing_a_value_loses_no_update(start: Start) -> None:
    world = start(atomic("A", concurrency=8))

    async def body(ctx: Handler) -> None:
        value = await ctx.get("g", "sum") or 0
        await asyncio.sleep(0)
        await ctx.set("g", "sum", value + ctx.data)

    world.handler("A", body)
    for n in range(40):
        await world.rig.publish(data=n)
    await world.rig.settled()
    assert world.read("g", "sum") == sum(range(40))
    assert await world.rig.store.dead() == []


async def test_a_decision_about_a_group_holds_when_it_takes_effect(start: Start) -> None:
    """Two that each check that a group has no member may not both add one."""
    world = start(atomic("A", concurrency=8))

    async def body(ctx: Handler) -> None:
        if not await ctx.group("seats"):
            await asyncio.sleep(0)
            await ctx.set("seats", str(ctx.data), True)

    world.handler("A", body)
    for n in range(12):
        await world.rig.publish(data=n)
    await world.rig.settled()
    assert len([n for n in range(12) if world.read("seats", str(n))]) == 1


@pytest.mark.parametrize(("waited_s", "attempts"), [(200, [1, 1]), (100, [1, 2])])
async def test_time_spent_waiting_for_a_hanging_step_is_no_failed_try(
    start: Start, monkeypatch: pytest.MonkeyPatch, waited_s: int, attempts: list[int]
) -> None:
    world = start(atomic("Hangs", "hang"), atomic("Counts"))
    clock = [0.0]
    monkeypatch.setattr(locks, "monotonic", lambda: clock[0])
    timeout = Outcome("timeout", None, {"code": "timeout", "message": "300 s are over"})

    async def hang(handler: Handler) -> None:
        await handler.add("n", "x")
        await asyncio.Event().wait()

    async def count(handler: Handler) -> None:
        await handler.add("n", "x")

    world.handler("Hangs", hang)
    world.handler("Counts", count)
    await world.rig.publish("hang")
    await until(lambda: len(world.rig.runners.calls) == 1)
    await world.rig.store.apply(())
    await world.rig.publish()
    await until(lambda: len(world.rig.runners.calls) == 2)
    hanging, waiting = world.rig.runners.calls
    await soon()
    clock[0] = waited_s
    waiting.finish(timeout)
    hanging.finish(Outcome("error", None, {"code": "handler_failed", "message": "no"}))
    world.handler("Hangs", count)
    await world.rig.settled()
    counts = [call.attempt for call in world.rig.runners.calls if call.step.name == "Counts"]
    assert counts == attempts
    assert world.read("n", "x") == 2


async def test_two_that_wait_for_each_other_are_told_apart(start: Start) -> None:
    world = start(atomic("A", max_retries=0, concurrency=2))

    async def body(ctx: Handler) -> None:
        first, second = ("a", "b") if ctx.data % 2 else ("b", "a")
        await ctx.add("g", first)
        await asyncio.sleep(0)
        await ctx.add("g", second)

    world.handler("A", body)
    for n in range(20):
        await world.rig.publish(data=n)
    await world.rig.settled()
    assert (world.read("g", "a"), world.read("g", "b")) == (20, 20)
    assert await world.rig.store.dead() == []


async def test_what_a_plain_step_writes_meanwhile_makes_the_run_begin_again(start: Start) -> None:
    world = start(atomic("A", max_retries=0), step("Plain", ("plain",)))
    values: list[Any] = []

    async def plain(ctx: Handler) -> None:
        await ctx.set("g", "k", "changed")

    async def body(ctx: Handler) -> None:
        values.append(await ctx.get("g", "k"))
        if len(values) == 1:
            await world.rig.publish("plain")
            while world.read("g", "k") != "changed":
                await asyncio.sleep(0.001)
        await ctx.set("g", "copy", values[-1])

    world.handler("Plain", plain)
    world.handler("A", body)
    await world.rig.publish()
    await world.rig.settled()
    assert values == [None, "changed"]
    assert world.read("g", "copy") == "changed"
    assert await world.rig.store.dead() == []


async def test_a_compare_and_set_that_fails_is_the_handlers_own_failure(start: Start) -> None:
    world = start(atomic("A", max_retries=1))

    async def body(ctx: Handler) -> None:
        await ctx.set("g", "k", 1)
        await ctx.set("g", "k", 2, 1)
        await ctx.set("g", "k", 3, 1)

    world.handler("A", body)
    await world.rig.publish()
    await world.rig.settled()
    (letter,) = await world.rig.store.dead()
    assert (letter.attempts, "another value than expected" in letter.errors) == (2, True)
    assert world.read("g", "k") is None


async def test_calls_at_once_take_effect_in_their_order(start: Start) -> None:
    world = start(atomic("A"))
    found: list[Any] = []

    async def body(ctx: Handler) -> None:
        await asyncio.gather(*(ctx.set("g", "k", n) for n in range(2000)))
        found.append(await ctx.get("g", "k"))

    world.handler("A", body)
    await world.rig.publish()
    await world.rig.settled()
    assert found == [1999]
    assert world.read("g", "k") == 1999


async def test_an_event_emitted_by_an_atomic_step_is_kept_out_by_its_id(start: Start) -> None:
    world = start(atomic("A"), step("B", ("next",)))

    async def body(ctx: Handler) -> None:
        await ctx.emit("next", ctx.data, event_key="one")

    world.handler("A", body)
    for n in range(3):
        await world.rig.publish(data=n)
    await world.rig.settled()
    assert len(world.rig.seen("B")) == 1


async def test_a_delayed_emit_of_a_failed_run_is_not_there(start: Start) -> None:
    world = start(atomic("A", max_retries=0), step("B", ("next",)))

    async def body(ctx: Handler) -> Outcome:
        await ctx.emit("next", 1, due_at=(1 << 40) * 2)
        return failed()

    world.handler("A", body)
    await world.rig.publish()
    await world.rig.settled()
    assert await world.rig.store.pending() == []


async def test_an_event_with_other_subscribers_leaves_the_store_with_the_last(start: Start) -> None:
    world = start(atomic("A"), step("B"), atomic("C"))
    published = [ids.read(await world.rig.publish(data=n)) for n in range(20)]
    await world.rig.settled()
    assert await world.rig.store.pending() == []
    assert world.rig.store.events(published) == []


async def test_a_batch_is_settled_and_written_together(start: Start) -> None:
    world = start(atomic("A", batch=Batch(5), concurrency=1))
    runs: list[list[int]] = []
    all_wait = asyncio.Event()

    async def body(ctx: Handler) -> Outcome:
        if ctx.data == ["first"]:
            await all_wait.wait()
            return OK
        runs.append(ctx.data)
        for _ in ctx.data:
            await ctx.add("g", "count")
        if len(runs) == 1:
            return failed()
        return Outcome("ok", encode({"failed": [0]} if len(runs) == 2 else None))

    world.handler("A", body)
    for data in ("first", *range(5)):
        await world.rig.publish(data=data)
    all_wait.set()
    await world.rig.settled()
    assert runs[0] == list(range(5))
    assert world.read("g", "count") == 6
    assert await world.rig.store.pending() == []


async def test_a_wrong_list_of_failed_ones_undoes_what_the_batch_wrote(start: Start) -> None:
    world = start(atomic("A", batch=Batch(2)))

    async def body(ctx: Handler) -> Outcome:
        await ctx.add("g", "count")
        return Outcome("ok", encode({"failed": [9]} if ctx.attempt == 1 else None))

    world.handler("A", body)
    await world.rig.publish(data=1)
    await world.rig.settled()
    assert world.read("g", "count") == 1
