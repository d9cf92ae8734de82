"""What a restart takes up after a clock that was wrong, and who still holds a group."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from stepweave.calls import now_ms
from stepweave.engine import ids
from stepweave.steps.model import Backoff
from tests.unit.engine_kit import failed, step, until
from tests.unit.queue_kit import Gate, Start, answer, soon

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
Jump = Callable[[int], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Sets the clock, by so many hours."""
    real, off = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + off[0])

    def by(hours: int) -> None:
        off[0] += hours * HOUR_MS * 1_000_000

    return by


async def test_a_delay_keeps_its_length_though_ids_are_ahead_of_the_clock(
    start: Start, jump: Jump
) -> None:
    rig = start(step("A"))
    jump(5)
    first = await rig.publish(data="future", due_at=now_ms() + 9 * HOUR_MS)
    jump(-5)
    second = await rig.publish(data="later", due_at=now_ms() + HOUR_MS)
    assert ids.born_at(ids.read(second)) > now_ms() + 4 * HOUR_MS
    await rig.close()

    again = start(step("A"))
    assert again.bus.recover() == 2
    await soon()
    assert again.runners.calls == []
    assert again.bus.statistics()["subscriptions"]["A"]["delayed"] == 2
    jump(1)
    for event in (first, second):
        assert await answer(again.bus.cancel_event, ids.read(event)) == 1


async def test_a_retry_waits_no_longer_than_its_pause_after_a_clock_that_was_set_back(
    start: Start, jump: Jump
) -> None:
    often = step("A", max_retries=1, backoff=Backoff("fixed", base_s=0.05))
    rig = start(often)
    rig.handler("A", lambda call: failed())
    jump(5)
    await rig.publish()
    await until(lambda: rig.bus.statistics()["retried"] == 1)
    await rig.close()
    jump(-5)

    again = start(often)
    again.bus.recover()
    await again.settled()
    assert [call.attempt for call in again.runners.calls] == [2]


async def test_a_group_that_two_letters_hold_waits_for_both_after_a_restart(start: Start) -> None:
    rig = start(step("A", max_retries=0))
    gate = Gate(rig)
    for n in range(2):
        await rig.publish(data=n, group="g")
    await until(lambda: len(gate.open) == 2)
    ordered = step("A", type="fifo", max_retries=0)
    rig.bus.subscribe([ordered])
    await rig.publish(data=2, group="g")
    for _ in range(2):
        gate.end(failed())
    await until(lambda: rig.bus.waiting == 1)
    await rig.close()

    again = start(ordered)
    gate = Gate(again)
    again.bus.recover()
    for letter in await again.store.dead():
        await soon()
        assert not gate.open
        await answer(again.bus.discard, letter.id)
    assert await gate.drain(again) == [2]
