"""Limits on how many run and start, for each key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepweave.engine.delivery.lanes import Lane, Lanes
from stepweave.steps.model import Throttle
from tests.unit.engine_kit import OK, failed, step, until
from tests.unit.queue_kit import Gate, Start

pytestmark = pytest.mark.anyio


async def test_a_key_has_a_concurrency_of_its_own(start: Start) -> None:
    rig = start(step("A", throttle=Throttle(key=("who", "id"), concurrency=1)))
    gate = Gate(rig, "A")
    for who, n in (("x", 1), ("x", 2), ("y", 1), (None, 1), ("x", 3), (None, 2)):
        await rig.publish(data={"who": {"id": who}, "n": n} if who else {"n": n})

    def running() -> list[tuple[Any, int]]:
        return [(data.get("who", {}).get("id"), data["n"]) for data in gate.data]

    await until(lambda: len(gate.open) == 3)
    assert running() == [("x", 1), ("y", 1), (None, 1)]
    assert rig.bus.statistics()["subscriptions"]["A"]["lanes"] == {"x": 2, "": 1}
    gate.end()
    await until(lambda: len(gate.open) == 3)
    assert running() == [("y", 1), (None, 1), ("x", 2)]
    while rig.bus.waiting:
        await until(lambda: gate.open)
        gate.end()
        await asyncio.sleep(0)
    assert [d["n"] for d in rig.seen("A") if d.get("who", {}).get("id") == "x"] == [1, 2, 3]


async def test_what_waits_for_its_lane_goes_by_priority(start: Start) -> None:
    rig = start(step("A", throttle=Throttle(key=("who",), concurrency=1)))
    gate = Gate(rig)
    for n, priority in ((0, 0), (1, 0), (2, 7), (3, -1), (4, 7), (5, 9)):
        await rig.publish(data={"who": "x", "n": n}, priority=priority)
    await until(lambda: rig.bus.statistics()["subscriptions"]["A"]["lanes"] == {"x": 5})
    assert [data["n"] for data in await gate.drain(rig)] == [0, 5, 2, 4, 1, 3]


def most_in_a_window(starts: list[float], window_s: float) -> int:
    return max(sum(at <= other < at + window_s for other in starts) for at in starts)


async def test_no_window_has_more_starts_than_its_limit(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = 0.3
    rig = start(step("A", throttle=Throttle(limit=5, window_s=window)))
    starts: list[float] = []
    begin = Lanes.start

    def note(lanes: Lanes, lane: Lane) -> None:
        begin(lanes, lane)
        # As the lane has it: on a busy machine a clock of the test's own may be read much later.
        starts.append(lane.starts[-1])

    monkeypatch.setattr(Lanes, "start", note)
    for n in range(17):
        await rig.publish(data=n)
    await rig.settled()
    assert len(starts) == 17
    assert most_in_a_window(starts, window * 0.999) <= 5
    assert sorted(rig.seen("A")) == list(range(17))


async def test_a_restart_does_not_open_the_window_again(start: Start) -> None:
    throttled = step("A", throttle=Throttle(limit=2, window_s=3600))
    rig = start(throttled)
    for n in range(5):
        await rig.publish(data=n)
    await until(lambda: rig.bus.statistics()["delivered"] == 2)
    await rig.close()

    again = start(throttled)
    assert again.bus.recover() == 3
    await until(lambda: again.bus.statistics()["subscriptions"]["A"].get("lanes") == {"": 3})
    assert again.seen("A") == []


async def test_a_failed_delivery_leaves_its_lane_to_the_next(start: Start) -> None:
    rig = start(step("A", throttle=Throttle(concurrency=1), max_retries=1))
    outcomes = iter([failed(), OK, OK])
    rig.handler("A", lambda call: next(outcomes))
    await rig.publish(data="fails")
    await rig.publish(data="goes on")
    await rig.settled()
    assert sorted(rig.seen("A")) == ["fails", "fails", "goes on"]
