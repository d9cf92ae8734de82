"""Batches: what goes into one call, and what becomes of each event of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepweave.calls import Outcome, now_ms
from stepweave.engine.delivery import gathering
from stepweave.payload import decode, encode
from stepweave.steps.model import Batch
from stepweave.steps.schema import Validator
from tests.unit.engine_kit import failed, step, until
from tests.unit.queue_kit import Gate, Start

pytestmark = pytest.mark.anyio


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


@pytest.mark.parametrize("wait_s", [0.0, 3600.0])
async def test_events_of_one_commit_share_a_batch_however_long_it_took(
    wait_s: float, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "now_ms", lambda: now_ms() + 3_600_000)
    rig = start(step("A", batch=Batch(10, wait_s=wait_s)))
    await asyncio.gather(*(rig.publish(data=n) for n in range(5)))
    await rig.settled()
    assert rig.seen("A") == [[0, 1, 2, 3, 4]]


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
