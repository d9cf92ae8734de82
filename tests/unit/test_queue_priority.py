"""Which deliveries of a step go first."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.engine_kit import step, until
from tests.unit.queue_kit import Gate, Start

pytestmark = pytest.mark.anyio


async def test_a_higher_priority_goes_first_and_equal_ones_in_their_order(start: Start) -> None:
    rig = start(step("A", concurrency=1))
    gate = Gate(rig, "A")
    await rig.publish(data="first")
    for data, priority in (("a", None), ("low", -5), ("b", 0), ("high", 7), ("top", 9), ("h2", 7)):
        await rig.publish(data=data, priority=priority)
    while gate.open or rig.bus.waiting:
        await until(lambda: gate.open)
        gate.end()
        await asyncio.sleep(0)
    assert rig.seen("A") == ["first", "top", "high", "h2", "a", "b", "low"]


async def test_an_event_without_a_priority_has_that_of_its_step_also_after_a_restart(
    start: Start,
) -> None:
    rig = start(step("A", concurrency=1, priority=3))
    Gate(rig, "A")
    for data, priority in (("running", None), ("plain", None), ("urgent", 4), ("late", 2)):
        await rig.publish(data=data, priority=priority)
    await rig.close()
    again = start(step("A", concurrency=1, priority=3))
    again.bus.recover()
    await again.settled()
    assert again.seen("A") == ["urgent", "running", "plain", "late"]
