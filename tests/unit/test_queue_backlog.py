"""What waits beyond memory, and what holds emitters back."""

from __future__ import annotations

import asyncio

import pytest

from stepweave.calls import Call
from stepweave.engine.delivery import groups, ready
from stepweave.payload import encode
from tests.unit.engine_kit import OK, Rig, step, until
from tests.unit.queue_kit import Gate, Start, cancel

pytestmark = pytest.mark.anyio


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "_WINDOW", 4)
    monkeypatch.setattr(ready, "_REFILL", 3)


async def test_what_does_not_fit_into_memory_comes_in_its_order(
    start: Start, small_window: None
) -> None:
    rig = start(step("A", concurrency=1), step("B"))
    gate = Gate(rig, "A")
    for n in range(40):
        await rig.publish(data=n)
    assert rig.bus.statistics()["subscriptions"]["A"]["waiting"] == 39
    while rig.bus.waiting:
        await until(lambda: gate.open or not rig.bus.waiting)
        if gate.open:
            gate.end()
        await asyncio.sleep(0)
    assert rig.seen("A") == rig.seen("B") == list(range(40))
    await rig.store.apply(())
    assert list(rig.store.waiting()) == []
    assert await rig.store.pending() == []


async def test_events_kept_as_ids_can_be_cancelled(start: Start, small_window: None) -> None:
    rig = start(step("A", concurrency=1))
    gate = Gate(rig, "A")
    shown = [await rig.publish(data=n) for n in range(20)]
    await until(lambda: gate.open)
    for number in (2, 9, 10, 11, 19):
        assert await cancel(rig, shown[number]) == 1
    while rig.bus.waiting:
        await until(lambda: gate.open or not rig.bus.waiting)
        if gate.open:
            gate.end()
        await asyncio.sleep(0)
    assert rig.seen("A") == [n for n in range(20) if n not in (2, 9, 10, 11, 19)]
    assert rig.bus.waiting == 0


async def test_a_backlog_found_at_start_is_delivered_in_order(
    start: Start, small_window: None
) -> None:
    rig = start(step("A", concurrency=1), step("Absent"))
    Gate(rig, "A")
    Gate(rig, "Absent")
    for n in range(15):
        await rig.publish(data=n)
    await rig.close()
    again = start(step("A", concurrency=1))
    assert again.bus.recover() == 30
    await until(lambda: again.bus.waiting == 15)
    assert again.seen("A") == list(range(15))
    again.bus.subscribe([step("A"), step("Absent")])
    await again.settled()
    assert again.seen("Absent") == list(range(15))
    assert again.bus.idle


async def emit(rig: Rig, call: Call, n: int) -> asyncio.Future[str]:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    rig.bus.emit(
        call,
        "a.b",
        encode(n),
        event_key=None,
        group=None,
        due_at=None,
        done=lambda error, event: answer.set_result(event),
    )
    await rig.store.apply(())
    return answer


async def test_over_the_limit_an_emit_is_answered_when_a_delivery_has_ended(start: Start) -> None:
    rig = start(step("A", concurrency=1), slow_at=3)
    gate = Gate(rig, "A")
    await rig.publish(data="first")
    await until(lambda: gate.open)
    call = gate.open[0]
    quick = [await emit(rig, call, n) for n in range(3)]
    assert all(answer.done() for answer in quick)
    slow = [await emit(rig, call, n) for n in range(2)]
    assert [answer.done() for answer in slow] == [False, False]
    gate.end()
    await until(lambda: slow[0].done())
    assert not slow[1].done()
    await until(lambda: gate.open)
    gate.end()
    await until(lambda: slow[1].done())


async def test_an_emit_is_answered_in_any_case_for_all_may_wait_for_its_handler(
    start: Start,
) -> None:
    rig = start(step("A", concurrency=1), slow_at=1)
    gate = Gate(rig, "A")
    await rig.publish(data="first")
    await rig.publish(data="second")
    await until(lambda: gate.open)
    answer = await emit(rig, gate.open[0], 1)
    assert not answer.done()
    await asyncio.wait_for(answer, 60)


async def test_a_fifo_step_that_returns_goes_on_in_order_wherever_its_events_were(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_WINDOW", 3)
    rig = start(step("A", type="fifo"))
    gate = Gate(rig, "A")
    for n in range(8):
        await rig.publish(data=n, group="g")
    await until(lambda: gate.open)
    for _ in range(3):
        gate.end()
        await until(lambda: gate.open)
    for n in range(8, 12):
        await rig.publish(data=n, group="g")
    rig.bus.subscribe([])
    gate.end()
    await until(lambda: rig.bus.statistics()["parked"] == {"A": 8})
    rig.handler("A", lambda call: OK)
    rig.bus.subscribe([step("A", type="fifo")])
    await rig.settled()
    assert rig.seen("A") == list(range(12))


async def test_an_event_cancelled_while_its_group_moves_on_is_counted_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its forerunner and the cancellation are committed together; the one that is
    told first looks for the event in vain."""
    monkeypatch.setattr(groups, "_WINDOW", 0)
    rig = start(step("A", type="fifo"))
    gate = Gate(rig, "A")
    shown = [await rig.publish(data=n, group="g") for n in range(3)]
    await until(lambda: gate.open)
    gate.end()
    assert await cancel(rig, shown[1]) == 1
    await until(lambda: gate.open)
    assert (gate.data, rig.bus.waiting) == ([2], 1)
    gate.end()
    await rig.settled()
    assert not rig.bus._dispatcher._cancelled
