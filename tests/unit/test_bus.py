"""The bus: fan-out, retries, dead letters, order in groups, and what a restart takes up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepweave.calls import Call, Outcome
from stepweave.engine.delivery import records
from stepweave.engine.store.contract import Done as StoreDone
from stepweave.engine.store.operations import Operation, Retry
from stepweave.errors import Busy, InvalidInput, NotDeclared, ShuttingDown, StoreFailed
from stepweave.payload import decode, encode
from stepweave.steps.schema import Validator
from stepweave.trace import Span, new_trace_id
from tests.unit.engine_kit import LOST, OK, Rig, failed, step, until
from tests.unit.queue_kit import Start

pytestmark = pytest.mark.anyio


def attempts(*outcomes: Outcome) -> Callable[[Call], Outcome]:
    """A handler that ends its calls in these ways, one after the other."""
    left = list(outcomes)
    return lambda call: left.pop(0)


async def test_every_subscriber_gets_its_own_delivery(start: Start) -> None:
    rig = start(step("A"), step("B", ("a.b", "c.d")), step("C", ("c.d",)))
    await rig.publish("a.b", {"n": 1})
    await rig.publish("c.d", {"n": 2})
    await rig.settled()
    assert rig.seen("A") == [{"n": 1}]
    assert sorted(item["n"] for item in rig.seen("B")) == [1, 2]
    assert rig.seen("C") == [{"n": 2}]
    assert list(rig.store.waiting()) == []


async def test_an_event_without_subscribers_is_accepted_and_leaves_nothing(start: Start) -> None:
    rig = start(step("A"))
    assert await rig.publish("nobody.listens")
    assert list(rig.store.waiting()) == []


async def test_a_step_with_one_topic_twice_gets_the_event_once(start: Start) -> None:
    rig = start(step("A", ("a.b", "a.b")))
    await rig.publish()
    await rig.settled()
    assert len(rig.seen("A")) == 1


async def test_a_failed_delivery_is_tried_again_and_only_that_one(start: Start) -> None:
    rig = start(step("A"), step("B"))
    rig.handler("A", attempts(failed(), failed(), OK))
    await rig.publish()
    await rig.settled()
    assert [call.attempt for call in rig.runners.calls if call.step.name == "A"] == [1, 2, 3]
    assert len(rig.seen("B")) == 1
    assert await rig.store.dead() == []


async def test_a_delivery_that_keeps_failing_becomes_a_dead_letter_after_its_retries(
    start: Start,
) -> None:
    rig = start(step("A", max_retries=2))
    rig.handler("A", lambda call: failed("no money"))
    await rig.publish(data={"id": 7})
    await rig.settled()
    (letter,) = await rig.store.dead()
    assert len(rig.seen("A")) == 3
    assert (letter.attempts, letter.data) == (3, encode({"id": 7}))
    assert [each["message"] for each in orjson.loads(letter.errors)] == ["no money"] * 3
    assert any(level == "error" and "dead letter" in text for level, text in rig.notices)


@pytest.mark.parametrize(("retries", "tries"), [(0, "once"), (1, "2 times")])
async def test_a_dead_letter_is_told_with_its_tries(start: Start, retries: int, tries: str) -> None:
    rig = start(step("A", max_retries=retries))
    rig.handler("A", lambda call: failed("no money"))
    await rig.publish()
    await rig.settled()
    said = f"a.b: A failed {tries} and is now a dead letter (no money)"
    assert [text for level, text in rig.notices if level == "error"] == [said]


async def test_a_redriven_dead_letter_starts_its_tries_anew(start: Start) -> None:
    rig = start(step("A", max_retries=0))
    rig.handler("A", attempts(failed(), OK))
    await rig.publish(data="again")
    await rig.settled()
    (letter,) = await rig.store.dead()
    rig.bus.redrive(letter.id, lambda error, event: None)
    await rig.store.apply(())
    await rig.settled()
    assert rig.seen("A") == ["again", "again"]
    assert await rig.store.dead() == []


async def test_a_dead_letter_is_redriven_with_other_data(start: Start) -> None:
    rig = start(step("A", max_retries=0))
    rig.handler("A", attempts(failed(), OK))
    await rig.publish(data="wrong")
    await rig.settled()
    (letter,) = await rig.store.dead()
    rig.bus.redrive(letter.id, lambda error, event: None, (encode("right"),))
    await rig.store.apply(())
    await rig.settled()
    assert rig.seen("A") == ["wrong", "right"]


async def test_what_was_not_settled_is_delivered_by_the_next_run(
    start: Start, tmp_path: Path
) -> None:
    first = start(step("A"), step("B"))
    first.handler("A", lambda call: None)
    for n in range(5):
        await first.publish(data=n)
    await first.store.apply(())
    first.bus.stop()
    await first.store.close()
    second = start(step("A"), step("B"))
    assert second.bus.recover() == 5
    await second.settled()
    assert sorted(second.seen("A")) == [0, 1, 2, 3, 4]
    assert second.seen("B") == []


async def test_deliveries_of_a_step_that_left_wait_for_its_return(start: Start) -> None:
    rig = start(step("A"))
    rig.handler("A", lambda call: None)
    await rig.publish(data=1)
    await rig.store.apply(())
    rig.bus.stop()
    await rig.store.close()
    later = start(step("Other"))
    later.bus.recover()
    assert later.bus.statistics()["parked"] == {"A": 1}
    later.bus.subscribe([step("A")])
    await later.settled()
    assert later.seen("A") == [1]


async def test_the_order_of_a_group_holds_across_retries_while_others_go_on(start: Start) -> None:
    rig = start(step("A", type="fifo"), concurrency=8)
    failures = {"x0": 2, "x2": 1}

    def handle(call: Call) -> Outcome:
        name = rig_data(call)
        if failures.get(name, 0):
            failures[name] -= 1
            return failed()
        return OK

    rig.handler("A", handle)
    for n in range(4):
        await rig.publish(data=f"x{n}", group="x")
        await rig.publish(data=f"y{n}", group="y")
    await rig.settled()
    seen = rig.seen("A")
    assert [name for name in seen if name[0] == "x"] == ["x0", "x0", "x0", "x1", "x2", "x2", "x3"]
    assert [name for name in seen if name[0] == "y"] == ["y0", "y1", "y2", "y3"]


def rig_data(call: Call) -> Any:
    return decode(call.input["data"])


async def test_no_more_than_the_concurrency_run_at_once(start: Start) -> None:
    rig = start(step("A", concurrency=3))
    for n in range(30):
        await rig.publish(data=n)
    await rig.settled()
    assert rig.runners.most <= 3
    assert len(rig.seen("A")) == 30


async def test_an_event_can_be_held_back(start: Start) -> None:
    rig = start(step("A"), step("Late", delay_s=0.03))
    await rig.publish(data="now")
    await rig.publish(data="later", due_at=2**50)
    while len(rig.seen("Late")) < 1:
        await rig.store.apply(())
    assert rig.seen("A") == ["now"]
    assert rig.bus.statistics()["subscriptions"]["A"]["delayed"] == 1


async def test_work_that_lost_its_runner_is_counted_and_marked(start: Start) -> None:
    rig = start(step("A", max_retries=3))
    rig.handler("A", lambda call: LOST)
    await rig.publish()
    await rig.settled()
    assert [call.suspect for call in rig.runners.calls] == [0, 1, 2, 3]
    (letter,) = await rig.store.dead()
    assert letter.attempts == 4


async def test_one_lost_runner_never_buries_a_step_without_retries(start: Start) -> None:
    rig = start(step("A", max_retries=0))
    rig.handler("A", attempts(LOST, OK))
    await rig.publish()
    await rig.settled()
    assert await rig.store.dead() == []


async def test_a_restart_gives_no_second_chance_to_what_has_had_one(start: Start) -> None:
    rig = start(step("A", max_retries=0))
    rig.handler("A", lambda call: LOST if call.attempt == 1 else None)
    await rig.publish()
    await until(lambda: len(rig.seen("A")) == 2)
    await rig.close()

    later = start(step("A", max_retries=0))
    later.handler("A", lambda call: LOST)
    assert later.bus.recover() == 1
    await later.settled()
    (letter,) = await later.store.dead()
    assert letter.attempts == 2


async def test_an_undeclared_topic_is_delivered_with_one_warning(start: Start) -> None:
    rig = start(step("A", emits=("x.y",)), step("B", ("not.declared",)))
    call = running(rig, step("A", emits=("x.y",)))
    for _ in range(2):
        rig.bus.emit(
            call, "not.declared", None, event_key=None, group=None, due_at=None, done=ignore
        )
    await rig.store.apply(())
    await rig.settled()
    assert len(rig.seen("B")) == 2
    assert len([text for _, text in rig.notices if "not.declared" in text]) == 1


async def test_a_strict_project_refuses_an_undeclared_topic(start: Start) -> None:
    rig = start(step("B", ("not.declared",)), strict_emits=True)
    call = running(rig, step("A", emits=("x.y",)))
    with pytest.raises(NotDeclared, match=r'emits "not.declared", but config lists only x\.y'):
        rig.bus.emit(
            call, "not.declared", None, event_key=None, group=None, due_at=None, done=ignore
        )


async def test_an_empty_id_is_refused_since_all_such_events_would_be_one(start: Start) -> None:
    rig = start(step("B"))
    with pytest.raises(InvalidInput, match="A: emit takes an id that is not empty"):
        rig.bus.emit(
            running(rig, step("A")),
            "a.b",
            None,
            event_key="",
            group=None,
            due_at=None,
            done=ignore,
        )


INPUT = Validator({"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}})


async def test_input_that_does_not_match_is_a_warning_and_the_handler_runs(start: Start) -> None:
    rig = start(step("A", input=INPUT))
    await rig.publish(data={"id": 7})
    await rig.settled()
    assert rig.seen("A") == [{"id": 7}]
    assert any("does not match the input of A" in text for _, text in rig.notices)


async def test_a_strict_project_buries_input_that_does_not_match(start: Start) -> None:
    rig = start(step("A", input=INPUT), strict_input=True)
    await rig.publish(data={"id": 7})
    await rig.settled()
    assert rig.seen("A") == []
    (letter,) = await rig.store.dead()
    assert letter.reason == "invalid input"


async def test_a_stopped_bus_takes_no_events(start: Start) -> None:
    rig = start(step("A"))
    rig.bus.stop()
    with pytest.raises(ShuttingDown):
        await rig.publish()


async def test_a_full_bus_refuses_loudly_and_takes_events_again_later(start: Start) -> None:
    rig = start(step("A"), max_waiting=2)
    waiting: list[Call] = []
    rig.handler("A", waiting.append)
    await rig.publish(data=1)
    await rig.publish(data=2)
    with pytest.raises(Busy, match="2 deliveries wait, which is the limit"):
        await rig.publish(data=3)
    while len(waiting) < 2:
        await rig.store.apply(())
    waiting[0].finish(OK)
    await rig.publish(data=4)


async def test_attempts_are_spans_of_one_trace(start: Start) -> None:
    rig = start(step("A"))
    rig.handler("A", attempts(failed(), OK))
    await rig.publish()
    await rig.settled()
    assert [(span.attempt, span.status) for span in rig.spans.ended] == [(1, "error"), (2, "ok")]
    assert len({span.trace_id for span in rig.spans.ended}) == 1


def ignore(error: Exception | None, result: Any) -> None:
    """A callback for what is not looked at."""


def running(rig: Rig, source: Any) -> Call:
    """A call of a step, as if its handler were at work."""
    span = Span(new_trace_id(), source.name, "event", "python")
    return Call(source, "event", {}, span, lambda outcome: None)


# --- a store that refuses


async def test_a_try_that_the_store_refuses_to_note_counts_after_a_restart_all_the_same(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_REFUSED_S", 0.01)
    rig = start(step("A", max_retries=1))
    refused: list[Retry] = []
    submit = rig.store.submit

    def submit_no_retry(operations: Sequence[Operation], done: StoreDone | None = None) -> int:
        if len(refused) < 3 and operations and isinstance(operations[0], Retry):
            refused.append(operations[0])
            assert done is not None
            done(StoreFailed("the disk is full"), None)
            return rig.store.last_sequence
        return submit(operations, done)

    monkeypatch.setattr(rig.store, "submit", submit_no_retry)
    rig.handler("A", lambda call: failed() if call.attempt == 1 else None)
    await rig.publish()
    await until(lambda: len(rig.runners.calls) == 2)
    assert [text for level, text in rig.notices if level == "error"] == [
        "what became of a delivery was not recorded: the disk is full"
    ]
    assert rig.runners.calls[1].attempt == 2
    await rig.close()

    again = start(step("A", max_retries=1))
    again.handler("A", lambda call: failed())
    again.bus.recover()
    await again.settled()
    assert [call.attempt for call in again.runners.calls] == [2]
