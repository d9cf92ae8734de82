"""What waits while its step is edited, leaves or returns, is due later, held or cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepweave.calls import Call, Outcome, now_ms
from stepweave.engine import ids
from stepweave.engine.delivery import bodies, groups, ready, subscription
from stepweave.engine.delivery.ends import Ends
from stepweave.engine.delivery.retries import later_ms
from stepweave.engine.desk.letters import Letters
from stepweave.errors import StoreFailed
from stepweave.payload import decode, encode
from stepweave.steps.model import Backoff, Batch, Throttle
from tests.unit.engine_kit import OK, Rig, failed, step, until
from tests.unit.queue_kit import Gate, Start, answer, cancel, soon

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


def fifo(name: str = "A", **more: Any) -> Any:
    return step(name, type="fifo", **more)


# --- order switched on and off


async def test_what_waits_behind_its_group_runs_when_order_counts_no_more(start: Start) -> None:
    rig = start(fifo())
    gate = Gate(rig)
    for n in range(4):
        await rig.publish(data=n, group="g")
    await until(lambda: gate.open)
    rig.bus.subscribe([step("A")])
    await until(lambda: len(gate.open) == 4)
    await gate.drain(rig)


async def test_a_held_group_goes_on_when_order_counts_no_more(start: Start) -> None:
    rig = start(fifo(max_retries=0))
    rig.handler("A", lambda call: failed() if decode(call.input["data"]) == 0 else OK)
    for n in range(3):
        await rig.publish(data=n, group="g")
    await until(lambda: rig.bus.waiting == 2)
    rig.bus.subscribe([step("A", max_retries=0)])
    await rig.settled()
    assert rig.seen("A") == [0, 1, 2]


async def test_what_waits_is_put_in_order_when_order_counts_from_now_on(start: Start) -> None:
    rig = start(step("A", concurrency=1))
    gate = Gate(rig)
    for n in range(6):
        await rig.publish(data=n, group="g" if n % 2 else "h", priority=n)
    await until(lambda: gate.open)
    rig.bus.subscribe([fifo(concurrency=9)])
    await until(lambda: len(gate.open) == 2)
    await soon()
    assert sorted(gate.data) == [0, 1]
    ended = await gate.drain(rig)
    assert [n for n in ended if n % 2] == [1, 3, 5]
    assert [n for n in ended if not n % 2] == [0, 2, 4]


async def test_what_runs_beside_its_group_when_order_begins_to_count_runs_once(
    start: Start,
) -> None:
    rig = start(step("A"))
    gate = Gate(rig)
    for n in range(3):
        await rig.publish(data=n, group="g")
    await until(lambda: len(gate.open) == 3)
    rig.bus.subscribe([fifo()])
    await rig.publish(data=3, group="g")
    assert await gate.drain(rig) == [0, 1, 2, 3]
    assert rig.bus.waiting == 0


# --- a step leaves and returns


async def test_a_group_stays_with_its_running_event_while_its_step_leaves_and_returns(
    start: Start,
) -> None:
    rig = start(fifo())
    gate = Gate(rig)
    for n in range(3):
        await rig.publish(data=n, group="g")
    await until(lambda: gate.open)
    rig.bus.subscribe([])
    assert rig.bus.running() and not rig.bus.idle
    rig.bus.subscribe([fifo()])
    await rig.publish(data=3, group="g")
    await soon()
    assert gate.data == [0]
    assert await gate.drain(rig) == [0, 1, 2, 3]


async def test_a_delayed_event_keeps_its_place_while_its_step_leaves_and_returns(
    start: Start,
) -> None:
    rig = start(fifo())
    await rig.publish(data=0, group="g", due_at=now_ms() + 50)
    await rig.publish(data=1, group="g")
    rig.bus.subscribe([])
    rig.bus.subscribe([fifo()])
    await rig.settled()
    assert rig.seen("A") == [0, 1]


async def test_a_window_is_not_opened_anew_for_a_step_that_returns(start: Start) -> None:
    throttled = step("A", throttle=Throttle(limit=1, window_s=3600))
    rig = start(throttled)
    for n in range(2):
        await rig.publish(data=n)
    await until(lambda: rig.seen("A") and rig.bus.waiting == 1)
    rig.bus.subscribe([])
    rig.bus.subscribe([throttled])
    await soon()
    assert rig.seen("A") == [0]


async def test_a_restart_opens_no_window_for_a_step_that_comes_later(start: Start) -> None:
    throttled = step("A", throttle=Throttle(limit=1, window_s=3600))
    rig = start(throttled)
    for n in range(2):
        await rig.publish(data=n)
    await until(lambda: rig.seen("A") and rig.bus.waiting == 1)
    await rig.close()
    again = start()
    again.bus.recover()
    again.bus.subscribe([throttled])
    await soon()
    assert again.seen("A") == []


# --- other options


@pytest.mark.parametrize(
    "before",
    [
        {"concurrency": 1},
        {"throttle": Throttle(concurrency=1)},
        {"throttle": Throttle(("key",), concurrency=1)},
        {"throttle": Throttle(limit=1, window_s=3600)},
        {"batch": Batch(1), "concurrency": 1},
    ],
)
async def test_an_option_that_held_deliveries_back_lets_them_go_when_it_is_taken_out(
    start: Start, before: dict[str, Any]
) -> None:
    rig = start(step("A", **before))
    gate = Gate(rig)
    for n in range(3):
        await rig.publish(data=n)
    await until(lambda: gate.open)
    rig.bus.subscribe([step("A")])
    await until(lambda: len(gate.open) == 3)
    await gate.drain(rig)


async def test_a_batch_that_waits_for_others_goes_when_there_are_to_be_no_batches(
    start: Start,
) -> None:
    rig = start(step("A", batch=Batch(9, wait_s=3600)))
    await rig.publish(data=1)
    rig.bus.subscribe([step("A")])
    await rig.settled()
    assert rig.seen("A") == [1]


async def test_lanes_of_another_key_count_what_runs_already(start: Start) -> None:
    rig = start(step("A", throttle=Throttle(("x",), concurrency=1)))
    gate = Gate(rig)
    for x, y in ((1, 1), (2, 2), (1, 1)):
        await rig.publish(data={"x": x, "y": y})
    await until(lambda: len(gate.open) == 2)
    rig.bus.subscribe([step("A", throttle=Throttle(("y",), concurrency=1))])
    await rig.publish(data={"x": 9, "y": 2})
    await soon()
    assert len(gate.open) == 2
    await gate.drain(rig)


async def test_a_shorter_window_counts_at_once(start: Start) -> None:
    rig = start(step("A", throttle=Throttle(limit=1, window_s=3600)))
    for n in range(2):
        await rig.publish(data=n)
    await until(lambda: rig.seen("A"))
    rig.bus.subscribe([step("A", throttle=Throttle(limit=1, window_s=0.01))])
    await rig.settled()


async def test_a_window_opens_while_its_first_event_still_runs(start: Start) -> None:
    rig = start(step("A", throttle=Throttle(limit=1, window_s=0.01)))
    gate = Gate(rig)
    await asyncio.gather(rig.publish(data=0), rig.publish(data=1))
    await until(lambda: gate.data == [0, 1])
    await gate.drain(rig)


async def test_a_key_of_any_kind_is_a_lane(start: Start) -> None:
    rig = start(step("A", throttle=Throttle(("k",), concurrency=1)))
    for key in ({1: b"x"}, [b"y"], 1 << 63, {"d": {2: {}}}):
        await rig.publish(data={"k": key, "b": b""})
    await rig.settled()


# --- dead letters that hold, and an edit that lets go


async def poison(rig: Rig) -> Gate:
    """A group with a dead letter of which the next event runs, since an edit let it go."""
    rig.handler("A", lambda call: failed())
    await rig.publish(data="bad", group="g")
    await until(lambda: rig.bus.statistics()["buried"] == 1)
    gate = Gate(rig)
    rig.bus.subscribe([fifo(max_retries=0, on_dead_letter="continue")])
    for n in range(2):
        await rig.publish(data=n, group="g")
    await until(lambda: gate.open)
    return gate


async def test_discarding_a_letter_that_holds_no_more_starts_nothing_beside_the_group(
    start: Start,
) -> None:
    rig = start(fifo(max_retries=0))
    gate = await poison(rig)
    (letter,) = await rig.store.dead()
    await answer(rig.bus.discard, letter.id)
    await soon()
    assert gate.data == [0]
    assert await gate.drain(rig) == [0, 1]


async def test_a_letter_that_holds_no_more_is_delivered_next_of_its_group(start: Start) -> None:
    rig = start(fifo(max_retries=0))
    gate = await poison(rig)
    (letter,) = await rig.store.dead()
    rig.bus.redrive(letter.id, lambda _error, _event: None)
    await soon()
    assert gate.data == [0]
    assert await gate.drain(rig) == [0, "bad", 1]


async def test_all_letters_are_delivered_anew_in_the_order_of_their_events(start: Start) -> None:
    rig = start(fifo(max_retries=0, on_dead_letter="continue"))
    rig.handler("A", lambda call: failed())
    for n in range(4):
        await rig.publish(data=n, group="g")
    await rig.settled()
    gate = Gate(rig)
    assert await Letters(rig.store, rig.bus).retry_all() == 4
    assert await gate.drain(rig) == [0, 1, 2, 3]


async def test_letters_that_hold_one_group_go_ahead_of_it_in_its_order(start: Start) -> None:
    rig = start(step("A", max_retries=0))
    gate = Gate(rig)
    for n in range(4):
        await rig.publish(data=n, group="g")
    await until(lambda: len(gate.open) == 4)
    rig.bus.subscribe([fifo(max_retries=0)])
    await rig.publish(data=4, group="g")
    for _ in range(4):
        gate.end(failed())
    await until(lambda: rig.bus.waiting == 1)
    await rig.store.apply(())
    letters = [letter.id for letter in reversed(await rig.store.dead())]
    for position in (0, 2, 3, 1):
        await answer(rig.bus.redrive, letters[position])
    assert await gate.drain(rig) == [0, 1, 2, 3, 4]


async def test_a_group_waits_again_when_an_edit_says_so(start: Start) -> None:
    rig = start(fifo(max_retries=0))
    gate = await poison(rig)
    rig.bus.subscribe([fifo(max_retries=0)])
    gate.end()
    await soon()
    assert not gate.open and rig.bus.waiting == 1
    (letter,) = await rig.store.dead()
    await answer(rig.bus.discard, letter.id)
    assert await gate.drain(rig) == [1]


async def test_a_letter_delivered_anew_has_the_priority_of_its_step(start: Start) -> None:
    rig = start(step("A", max_retries=0, concurrency=1, priority=5))
    rig.handler("A", lambda call: failed())
    await rig.publish(data="bad")
    await rig.settled()
    gate = Gate(rig)
    await rig.publish(data=0)
    await until(lambda: gate.open)
    await rig.publish(data="low", priority=1)
    (letter,) = await rig.store.dead()
    rig.bus.redrive(letter.id, lambda _error, _event: None)
    await soon()
    assert await gate.drain(rig) == [0, "bad", "low"]


# --- due later


async def test_a_delayed_event_waits_for_its_time_behind_its_group_too(start: Start) -> None:
    rig = start(fifo())
    gate = Gate(rig)
    await rig.publish(data=0, group="g")
    await rig.publish(data=1, group="g", due_at=now_ms() + HOUR_MS)
    await until(lambda: gate.open)
    gate.end()
    await soon()
    assert not gate.open
    assert rig.bus.statistics()["subscriptions"]["A"]["delayed"] == 1


async def test_what_is_due_at_once_begins_though_the_clock_is_set_back(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = start(step("A"))
    back = now_ms() - HOUR_MS
    published = asyncio.ensure_future(rig.publish(data=0))
    await asyncio.sleep(0)
    monkeypatch.setattr("stepweave.engine.delivery.dispatcher.now_ms", lambda: back)
    await published
    await rig.settled()


async def test_a_call_that_is_put_off_comes_back_though_the_clock_is_set_back(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = start(step("A"))
    outcomes = [Outcome("error", None, {"code": "stale_revision"}), OK]

    def handler(_call: Call) -> Outcome:
        return outcomes.pop(0)

    rig.handler("A", handler)
    await rig.publish()
    await until(lambda: len(outcomes) == 1)
    back = now_ms() - HOUR_MS
    monkeypatch.setattr("stepweave.engine.delivery.delays.now_ms", lambda: back)
    await rig.settled()


async def test_a_step_that_is_not_there_is_asked_for_less_and_less_often(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = start(step("A"))
    outcomes = [Outcome("error", None, {"code": "unknown_step"})] * 4 + [OK]
    rig.handler("A", lambda call: outcomes.pop(0))
    pauses: list[int] = []
    again = Ends.again

    def noted(ends: Ends, subscription: Any, delivery: Any, pause_ms: int) -> None:
        pauses.append(pause_ms)
        again(ends, subscription, delivery, 0)

    monkeypatch.setattr(Ends, "again", noted)
    await rig.publish()
    await rig.settled()
    assert pauses == [50, 100, 200, 400]
    assert [later_ms(Outcome("error", None, {"code": "busy"}), n) for n in (0, 9)] == [1000, 1000]
    assert later_ms(Outcome("error", None, {"code": "unknown_step"}), 99) == 1000


# --- cancelled


async def test_cancelling_for_one_step_leaves_what_others_wait_for(start: Start) -> None:
    rig = start(step("A", delay_s=3600), step("B", delay_s=0.05), step("C"))
    event = await rig.publish(data=1)
    assert await cancel(rig, event, "A") == 1
    await rig.settled()
    assert (rig.seen("A"), rig.seen("B")) == ([], [1])
    assert rig.store.events([ids.read(event)]) == []


async def test_an_event_leaves_with_its_last_delivery_though_another_was_cancelled_in_a_queue(
    start: Start,
) -> None:
    rig = start(step("A", concurrency=1), step("B", concurrency=1))
    first, second = Gate(rig, "A"), Gate(rig, "B")
    await rig.publish(data=0)
    event = await rig.publish(data=1)
    await until(lambda: first.open and second.open)
    assert await cancel(rig, event, "A") == 1
    first.end()
    for _ in range(2):
        await until(lambda: second.open)
        second.end()
    await rig.settled()
    assert rig.store.events([ids.read(event)]) == []


async def test_a_retry_is_not_cancelled_by_a_cancellation_that_found_it_running(
    start: Start,
) -> None:
    rig = start(step("A", backoff=Backoff(base_s=0.05, max_s=0.05)))
    gate = Gate(rig)
    event = await rig.publish(data=1)
    await until(lambda: gate.open)
    cancelled = asyncio.ensure_future(cancel(rig, event))
    await asyncio.sleep(0)
    gate.end(failed())
    assert await cancelled == 0
    await until(lambda: gate.open)
    gate.end()
    await rig.settled()


async def test_a_cancelled_event_takes_no_start_of_its_lane(start: Start) -> None:
    rig = start(step("A", throttle=Throttle(limit=1, window_s=3600)))
    events = [await rig.publish(data=n) for n in range(3)]
    await asyncio.gather(*[cancel(rig, each) for each in events[1:]])
    for n in range(3, 6):
        await rig.publish(data=n)
    rig.bus.subscribe([step("A", throttle=Throttle(limit=1, window_s=0.05))])
    await rig.settled()
    assert rig.seen("A") == [0, 3, 4, 5]


# --- memory and rows


async def test_bodies_kept_as_entries_are_not_counted(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_WINDOW", 2)
    rig = start(fifo())
    for n in range(20):
        await rig.publish(data=f"{n:0100}", group="g")
    await rig.settled()
    assert rig.bus._dispatcher._bodies.size == 0


async def test_an_event_without_a_subscriber_leaves_its_key_alone(start: Start) -> None:
    rig = start()
    event = await rig.publish(event_key="k")
    assert await rig.publish(event_key="k") == event
    assert rig.bus._dispatcher._bodies.size == 0
    assert rig.store.events([ids.read(event)]) == []


async def test_a_batch_that_cannot_be_read_whole_is_kept(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "_WINDOW", 2)
    monkeypatch.setattr(ready, "_REFILL", 1)
    monkeypatch.setattr(subscription, "_UNREADABLE_S", 0.01)
    rig = start(step("A", batch=Batch(9), concurrency=1))
    gate = Gate(rig)
    for n in range(7):
        await rig.publish(data=n)
    await until(lambda: gate.open)
    read, times = rig.store.events, [0]

    def fail_once(wanted: Any) -> Any:
        times[0] += 1
        if times[0] == 1:
            raise StoreFailed("no")
        return read(wanted)

    monkeypatch.setattr(rig.store, "events", fail_once)
    ended = await gate.drain(rig)
    assert [n for batch in ended for n in batch] == list(range(7))


async def test_an_edited_letter_is_delivered_while_its_step_is_away(start: Start) -> None:
    rig = start(fifo(max_retries=0))
    rig.handler("A", lambda call: failed() if decode(call.input["data"]) == "bad" else OK)
    for data in ("bad", 1):
        await rig.publish(data=data, group="g")
    await until(lambda: rig.bus.statistics()["buried"] == 1)
    rig.bus.subscribe([])
    (letter,) = await rig.store.dead()
    rig.bus.redrive(letter.id, lambda _error, _event: None, (encode("good"),))
    await soon()
    rig.bus.subscribe([fifo(max_retries=0)])
    await rig.settled()
    assert rig.seen("A") == ["bad", "good", 1]


async def test_bodies_of_what_waits_for_its_lane_do_not_fill_the_memory(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "LIMIT", 1000)
    throttled = step("A", throttle=Throttle(key=("who",), concurrency=1))
    rig = start(throttled)
    Gate(rig)
    for n in range(50):
        await rig.publish(data={"who": "x" if n % 2 else "y", "n": n, "more": "." * 100})
    await rig.close()

    again = start(throttled)
    gate = Gate(again)
    again.bus.recover()
    await until(lambda: sum(again.bus.statistics()["subscriptions"]["A"]["lanes"].values()) == 48)
    assert again.bus._dispatcher._bodies.size < 2000
    assert sorted(each["n"] for each in await gate.drain(again)) == list(range(50))
    assert again.bus._dispatcher._bodies.size == 0
