"""Events that are taken back before they run."""

from __future__ import annotations

import time

import pytest

from stepweave.engine import ids
from tests.unit.engine_kit import step, until
from tests.unit.queue_kit import Gate, Start, cancel

pytestmark = pytest.mark.anyio


async def test_waiting_delayed_and_retried_deliveries_are_cancelled_but_not_running_ones(
    start: Start,
) -> None:
    later = int(time.time() * 1000) + 3_600_000
    rig = start(step("A", concurrency=1), step("B", topics=("b",)))
    gate = Gate(rig, "A")
    running = await rig.publish(data="running")
    waiting = await rig.publish(data="waiting")
    delayed = await rig.publish("b", data="delayed", due_at=later)
    await until(lambda: gate.open)
    assert [await cancel(rig, each) for each in (running, waiting, delayed, waiting)] == [
        0,
        1,
        1,
        0,
    ]
    assert rig.bus.waiting == 1
    gate.end()
    await rig.settled()
    assert rig.seen("A") == ["running"]
    assert rig.seen("B") == []
    assert rig.store.events([ids.read(each) for each in (running, waiting, delayed)]) == []


async def test_the_delivery_to_one_step_is_cancelled_alone(start: Start) -> None:
    rig = start(step("A", concurrency=1), step("B", concurrency=1))
    gates = [Gate(rig, "A"), Gate(rig, "B")]
    shown = [await rig.publish(data=n) for n in range(2)]
    await until(lambda: all(gate.open for gate in gates))
    assert await cancel(rig, shown[1], "A") == 1
    assert await cancel(rig, shown[1], "C") == 0
    for gate in gates:
        gate.end()
    await until(lambda: gates[1].open)
    gates[1].end()
    await rig.settled()
    assert (rig.seen("A"), rig.seen("B")) == ([0], [0, 1])


async def test_a_cancelled_event_makes_way_for_its_group(start: Start) -> None:
    rig = start(step("A", type="fifo"))
    gate = Gate(rig, "A")
    shown = [await rig.publish(data=n, group="g") for n in range(4)]
    await until(lambda: gate.open)
    assert await cancel(rig, shown[1]) == 1
    assert await cancel(rig, shown[2]) == 1
    gate.end()
    await until(lambda: gate.open)
    assert gate.data == [3]
    gate.end()
    await rig.settled()


async def test_deliveries_of_an_absent_step_are_cancelled(start: Start) -> None:
    rig = start(step("A"))
    rig.bus.subscribe([])
    rig.bus.subscribe([step("A", delay_s=3600)])
    shown = await rig.publish(data=1)
    rig.bus.subscribe([])
    assert await cancel(rig, shown) == 1
    assert rig.bus.waiting == 0
    rig.bus.subscribe([step("A")])
    await rig.publish(data=2)
    await rig.settled()
    assert rig.seen("A") == [2]


async def test_cancelling_by_a_wrong_id_says_what_an_id_is(start: Start) -> None:
    with pytest.raises(Exception, match="16 hexadecimal digits"):
        ids.read("nonsense")
