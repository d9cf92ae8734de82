"""Priority, throttle, batch, held groups, cancellation and backpressure, over a real store."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from stepweave.calls import Call, Outcome, now_ms
from stepweave.engine import ids
from stepweave.engine.delivery import gathering, groups, ready
from stepweave.payload import decode, encode
from stepweave.steps.model import Batch, Throttle
from stepweave.steps.schema import Validator
from tests.unit.engine_kit import OK, Rig, failed, step, until
from tests.unit.queue_kit import Gate, Start, cancel

pytestmark = pytest.mark.anyio

# --- priority


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


# --- throttle


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
    dispatch = rig.runners.dispatch

    def note(call: Call) -> None:
        starts.append(time.monotonic())
        dispatch(call)

    monkeypatch.setattr(rig.runners, "dispatch", note)
    for n in range(17):
        await rig.publish(data=n)
    await rig.settled()
    assert len(starts) == 17
    # Between a start and this note of it a busy machine may do something else for a while.
    assert most_in_a_window(starts, window * 0.6) <= 5
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


# --- batch


async def test_a_batch_takes_what_waits_up_to_its_size(start: Start) -> None:
    rig = start(step("A", batch=Batch(3), concurrency=1))
    gate = Gate(rig, "A")
    for n in range(6):
        await rig.publish(data=n)
    await until(lambda: gate.open)
    assert gate.data == [[0]]
    gate.end()
    await until(lambda: gate.open)
    assert gate.data == [[1, 2, 3]]
    assert [each["attempt"] for each in gate.open[0].input["events"]] == [1, 1, 1]
    gate.end()
    await until(lambda: gate.open)
    assert gate.data == [[4, 5]]
    gate.end()
    await rig.settled()
    assert list(rig.store.waiting()) == []


async def test_the_first_of_a_batch_waits_for_others(start: Start) -> None:
    rig = start(step("A", batch=Batch(3, wait_s=3600)))
    for n in range(6):
        await rig.publish(data=n)
    await rig.settled()
    assert rig.seen("A") == [[0, 1, 2], [3, 4, 5]]


async def test_a_batch_that_is_not_full_goes_when_its_time_is_over(start: Start) -> None:
    rig = start(step("A", batch=Batch(3, wait_s=0.02)))
    await rig.publish(data=0)
    await rig.settled()
    assert rig.seen("A") == [[0]]


async def test_what_has_waited_for_the_batch_before_waits_no_longer(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = start(step("A", batch=Batch(3, wait_s=3600), concurrency=1))
    gate = Gate(rig)
    for n in range(4):
        await rig.publish(data=n)
    await until(lambda: gate.open)
    assert gate.data == [[0, 1, 2]]
    monkeypatch.setattr(gathering, "now_ms", lambda: now_ms() + 3_600_000)
    gate.end()
    await until(lambda: gate.open)
    assert await gate.drain(rig) == [[3]]


async def test_data_of_any_kind_is_joined(start: Start) -> None:
    rig = start(step("A", batch=Batch(4, wait_s=3600)))
    for data in ({"a": [1]}, b"\x00\xff", None, "text"):
        await rig.publish(data=data)
    await rig.settled()
    assert rig.seen("A") == [[{"a": [1]}, b"\x00\xff", None, "text"]]


async def test_what_does_not_fit_the_schema_is_handed_over_in_its_batch_with_a_warning(
    start: Start,
) -> None:
    rig = start(step("A", batch=Batch(3, wait_s=3600), input=Validator({"type": "number"})))
    for data in (1, "two", 3):
        await rig.publish(data=data)
    await rig.settled()
    assert rig.seen("A") == [[1, "two", 3]]
    assert rig.notices == [
        ("warn", "a.b does not match the input of A: must be a number, not a string")
    ]


async def test_a_strict_project_buries_what_does_not_fit_and_runs_the_rest_of_its_batch(
    start: Start,
) -> None:
    numbers = step("A", batch=Batch(3, wait_s=3600), input=Validator({"type": "number"}))
    rig = start(numbers, strict_input=True)
    for data in (1, "two", 3, "x", "y", "z"):
        await rig.publish(data=data)
    await rig.settled()
    assert rig.seen("A") == [[1, 3]]
    assert [letter.reason for letter in await rig.store.dead()] == ["invalid input"] * 4


async def test_only_those_named_as_failed_are_tried_again(start: Start) -> None:
    rig = start(step("A", batch=Batch(4), concurrency=1))
    gate = Gate(rig, "A")
    await rig.publish(data="first")
    await until(lambda: gate.open)
    for n in range(4):
        await rig.publish(data=n)
    wrong = iter([[1, 3]])
    rig.handler("A", lambda call: Outcome("ok", encode({"failed": next(wrong, [])})))
    gate.end()
    await rig.settled()
    assert rig.seen("A")[:2] == [["first"], [0, 1, 2, 3]]
    assert sorted(n for batch in rig.seen("A")[2:] for n in batch) == [1, 3]


@pytest.mark.parametrize("named", [[4], [-1], "all", [True], [0.0]])
async def test_a_wrong_list_of_failed_ones_fails_the_whole_batch(start: Start, named: Any) -> None:
    rig = start(step("A", batch=Batch(2, wait_s=0.05), max_retries=0))
    rig.handler("A", lambda call: Outcome("ok", encode({"failed": named})))
    await rig.publish(data=0)
    await rig.publish(data=1)
    await rig.settled()
    assert ["failed must list positions" in each.errors for each in await rig.store.dead()] == [
        True,
        True,
    ]


async def test_a_batch_that_fails_is_tried_again_and_each_of_it_counts(start: Start) -> None:
    rig = start(step("A", batch=Batch(2, wait_s=0.02), max_retries=1))
    rig.handler("A", lambda call: failed("no"))
    await rig.publish(data=0)
    await rig.publish(data=1)
    await rig.settled()
    letters = await rig.store.dead()
    assert sorted(decode(letter.data) for letter in letters) == [0, 1]
    assert [letter.attempts for letter in letters] == [2, 2]


async def test_each_event_of_a_batch_has_a_span_in_its_own_trace(start: Start) -> None:
    rig = start(step("A", batch=Batch(3, wait_s=0.05)))
    shown = [await rig.publish(data=n) for n in range(3)]
    await rig.settled()
    assert sorted(span.event_id or "" for span in rig.spans.ended) == sorted(shown)
    assert len({span.trace_id for span in rig.spans.ended}) == 3
    assert {span.status for span in rig.spans.ended} == {"ok"}


async def test_much_data_is_spread_over_several_batches(start: Start) -> None:
    rig = start(step("A", batch=Batch(10, wait_s=0.05)))
    body = "x" * (1 << 20)
    for _ in range(6):
        await rig.publish(data=body)
    await rig.settled()
    sizes = [len(batch) for batch in rig.seen("A")]
    assert sum(sizes) == 6
    assert max(sizes) <= 3


# --- a poisoned group


def fifo(name: str = "A", **more: Any) -> Any:
    return step(name, type="fifo", max_retries=0, **more)


async def poison(rig: Rig) -> None:
    """Three events of a group, of which the first fails for good, and one of another group."""
    rig.handler("A", lambda call: failed() if decode(call.input["data"]) == "bad" else OK)
    for data, group in (("bad", "g"), (1, "g"), (2, "g"), ("other", "h")):
        await rig.publish(data=data, group=group)
    await until(lambda: rig.bus.statistics()["buried"] == 1 and "other" in rig.seen("A"))
    await rig.store.apply(())


async def test_a_poisoned_group_waits_and_is_visible_while_others_go_on(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    assert rig.seen("A") == ["bad", "other"]
    assert rig.bus.statistics()["subscriptions"]["A"]["held"] == {"g": 2}
    (letter,) = await rig.store.dead()
    assert letter.holds
    assert any("its group g waits" in text for _level, text in rig.notices)


async def test_a_discarded_letter_lets_its_group_go_on(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    (letter,) = await rig.store.dead()
    answers: list[Any] = []
    rig.bus.discard(letter.id, lambda error, found: answers.append(found))
    await rig.settled()
    assert rig.seen("A") == ["bad", "other", 1, 2]
    rig.bus.discard(letter.id, lambda error, found: answers.append(found))
    await rig.store.apply(())
    assert answers == [True, False]


async def test_a_letter_delivered_anew_goes_ahead_of_its_group(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    (letter,) = await rig.store.dead()
    rig.bus.redrive(letter.id, lambda error, event: None, (encode("mended"),))
    await rig.settled()
    assert rig.seen("A") == ["bad", "other", "mended", 1, 2]


async def test_a_held_group_waits_over_a_restart_and_keeps_its_order(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    await rig.close()

    again = start(fifo())
    assert again.bus.recover() == 2
    await again.publish(data=3, group="g")
    assert again.bus.statistics()["subscriptions"]["A"]["held"] == {"g": 3}
    assert again.seen("A") == []
    (letter,) = await again.store.dead()
    again.bus.redrive(letter.id, lambda error, event: None, (encode("mended"),))
    await again.settled()
    assert again.seen("A") == ["mended", 1, 2, 3]


async def test_the_place_of_a_letter_delivered_anew_survives_a_restart(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    (letter,) = await rig.store.dead()
    Gate(rig, "A")
    rig.bus.redrive(letter.id, lambda error, event: None, (encode("mended"),))
    await until(lambda: "mended" in rig.seen("A"))
    await rig.close()

    again = start(fifo())
    again.bus.recover()
    await again.settled()
    assert again.seen("A") == ["mended", 1, 2]


async def test_a_group_goes_on_where_the_config_says_so(start: Start) -> None:
    rig = start(fifo(on_dead_letter="continue"))
    await poison(rig)
    await rig.settled()
    assert [data for data in rig.seen("A") if data != "other"] == ["bad", 1, 2]
    assert not (await rig.store.dead())[0].holds


async def test_an_edit_of_the_config_lets_a_held_group_go_on(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    rig.bus.subscribe([fifo(on_dead_letter="continue")])
    await rig.settled()
    assert rig.seen("A") == ["bad", "other", 1, 2]


# --- cancel


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


# --- much waits


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
