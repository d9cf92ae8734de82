"""Cron steps by a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepweave.engine.cron import AlreadyRunning, NotServing, SystemClock
from stepweave.engine.store.operations import CronTick
from stepweave.errors import UnknownStep
from tests.unit.cron_kit import DAY, HOUR, MINUTE, START, World, ms, step
from tests.unit.engine_kit import failed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.close()


async def test_a_step_runs_at_each_of_its_times(world: World) -> None:
    world.start(step())
    await world.advance(3 * MINUTE)

    assert world.ran == [
        ("Audit", ms("2026-01-05T12:01")),
        ("Audit", ms("2026-01-05T12:02")),
        ("Audit", ms("2026-01-05T12:03")),
    ]
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:03"), True, False)]


async def test_seconds_come_first_in_six_fields(world: World) -> None:
    world.start(step(cron="*/15 * * * * *"))
    await world.advance(MINUTE)

    assert [at - START for at in world.times] == [15_000, 30_000, 45_000, 60_000]


async def test_one_timer_serves_many_steps_in_the_order_of_their_times(world: World) -> None:
    world.start(step("C", "5 * * * *"), step("A", "1 * * * *"), step("B", "3 * * * *"))
    assert len(world.clock.live()) == 1
    await world.advance(10 * MINUTE)

    assert [name for name, _ in world.ran] == ["A", "B", "C"]


async def test_steps_that_are_due_together_all_run(world: World) -> None:
    world.start(*(step(name) for name in "ABC"))
    await world.advance(MINUTE)

    assert sorted(name for name, _ in world.ran) == ["A", "B", "C"]


async def test_a_timer_looks_at_the_clock_again_within_half_a_minute(world: World) -> None:
    world.start(step(cron="@yearly"))

    (timer,) = world.clock.live()
    assert timer.at == START + 30_000


async def test_a_tick_that_was_recorded_before_does_not_run(world: World) -> None:
    world.start(step())
    await world.store.apply((CronTick("Audit", ms("2026-01-05T12:01")),))
    await world.advance(2 * MINUTE)

    assert world.times == [ms("2026-01-05T12:02")]


async def test_a_tick_that_cannot_be_recorded_is_skipped_and_said(world: World) -> None:
    world.start(step())
    world.store.refuse = "the disk is full"
    await world.advance(MINUTE)
    world.store.refuse = None
    await world.advance(MINUTE)

    assert world.times == [ms("2026-01-05T12:02")]
    assert world.notices == [
        "error: Audit is skipped: its time cannot be recorded: the disk is full"
    ]


async def test_a_step_that_still_runs_is_skipped_and_said(world: World) -> None:
    world.hold = True
    world.start(step())
    await world.advance(3 * MINUTE)
    assert len(world.ran) == 1
    assert world.notices == ["warn: Audit is skipped: its last run has not ended"] * 2
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:01"), False, False)]

    await world.release()
    await world.advance(MINUTE)
    assert world.times[-1] == ms("2026-01-05T12:04")
    assert world.job()["skipped"] == 2


async def test_a_step_may_run_beside_itself_if_it_says_so(world: World) -> None:
    world.hold = True
    world.start(step(overlap=True))
    await world.advance(3 * MINUTE)

    assert len(world.ran) == 3 and not world.notices
    assert world.job()["running"] == 3
    await world.release()
    assert world.job()["running"] == 0


async def test_a_handler_that_fails_is_said_and_not_tried_again(world: World) -> None:
    world.runners.behaviours["Audit"] = lambda call: failed("no kibble")
    world.start(step())
    await world.advance(MINUTE)

    assert len(world.ran) == 1
    assert world.notices == ["error: Audit failed: no kibble"]
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:01"), True, False)]
    found = world.job()
    assert found["last"].pop("trace_id") == world.runners.calls[0].span.trace_id
    assert found == {
        "step": "Audit",
        "cron": "* * * * *",
        "timezone": "UTC",
        "catch_up": "none",
        "next": ms("2026-01-05T12:02"),
        "paused": False,
        "running": 0,
        "missed": 0,
        "runs": 1,
        "failed": 1,
        "skipped": 0,
        "last": {
            "at": ms("2026-01-05T12:01"),
            "status": "error",
            "duration_ms": 0,
            "error": "no kibble",
        },
    }


# --- time zones


async def test_a_step_runs_by_its_own_zone_or_the_projects(tmp_path: Path) -> None:
    world = World(tmp_path, ms("2026-01-05T00:00"), timezone="Europe/Berlin")
    world.start(step("Ours", "0 9 * * *"), step("Theirs", "0 9 * * *", timezone="America/New_York"))

    assert world.service.next_runs(2) == [
        (ms("2026-01-05T09:00+01:00"), "Ours"),
        (ms("2026-01-05T09:00-05:00"), "Theirs"),
    ]
    await world.close()


async def test_a_time_in_the_repeated_hour_runs_once(tmp_path: Path) -> None:
    world = World(tmp_path, ms("2026-11-01T00:00-04:00"))
    world.start(
        step("Fixed", "30 1 * * *", timezone="America/New_York"),
        step("Often", "30 * * * *", timezone="America/New_York"),
    )
    await world.advance(5 * HOUR)

    assert [at for name, at in world.ran if name == "Fixed"] == [ms("2026-11-01T01:30-04:00")]
    assert [at for name, at in world.ran if name == "Often"] == [
        ms("2026-11-01T00:30-04:00"),
        ms("2026-11-01T01:30-04:00"),
        ms("2026-11-01T01:30-05:00"),
        ms("2026-11-01T02:30-05:00"),
        ms("2026-11-01T03:30-05:00"),
    ]
    await world.close()


async def test_a_time_in_the_skipped_hour_runs_once_right_after_it(tmp_path: Path) -> None:
    world = World(tmp_path, ms("2026-03-08T00:00-05:00"))
    world.start(step(cron="0,30 2 * * *", timezone="America/New_York"))
    await world.advance(24 * HOUR)

    assert world.times == [ms("2026-03-08T03:00-04:00")]
    await world.close()


# --- reload


async def test_a_reload_that_leaves_the_times_alone_keeps_the_next_one(world: World) -> None:
    world.start(step(cron="0 * * * *"))
    before = world.job()["next"]
    await world.advance(MINUTE)
    world.service.reschedule([step(cron="0 * * * *", revision=2)])

    assert world.job()["next"] == before
    assert len(world.clock.live()) == 1
    await world.advance(HOUR)
    assert len(world.ran) == 1


async def test_a_reload_swaps_expressions_and_steps(world: World) -> None:
    world.start(step("A", "1 * * * *"), step("B", "2 * * * *"))
    world.service.reschedule([step("B", "3 * * * *"), step("C", "4 * * * *")])
    await world.advance(10 * MINUTE)

    assert [(name, (at - START) // MINUTE) for name, at in world.ran] == [("B", 2), ("C", 3)]


async def test_a_reload_during_a_run_still_keeps_it_from_overlapping(world: World) -> None:
    world.hold = True
    world.start(step())
    await world.advance(MINUTE)
    world.service.reschedule([step(cron="*/2 * * * *")])
    await world.advance(2 * MINUTE)
    assert len(world.ran) == 1

    await world.release()
    await world.advance(2 * MINUTE)
    assert len(world.ran) == 2


async def test_a_step_that_leaves_and_returns_goes_on_where_it_was(world: World) -> None:
    world.hold = True
    world.start(step(), step("Other"))
    await world.service.pause("Other")
    await world.advance(MINUTE)
    world.service.reschedule([])
    await world.advance(MINUTE)
    world.service.reschedule([step(), step("Other")])
    await world.advance(MINUTE)

    assert world.times == [ms("2026-01-05T12:01")], "it still runs"
    assert world.job("Other")["paused"]
    await world.release()
    await world.advance(MINUTE)
    assert world.times[-1] == ms("2026-01-05T12:04")


async def test_a_step_without_times_is_said_and_left_out(world: World) -> None:
    world.start(step(cron="0 0 31 2 *"), step("Good"))

    assert [item["step"] for item in world.service.statistics()] == ["Good"]
    assert "steps/Audit.step.py: Audit has no times" in world.notices[0]


async def test_nothing_runs_after_the_stop(world: World) -> None:
    world.hold = True
    world.start(step())
    await world.advance(MINUTE)
    world.service.stop()
    world.service.reschedule([step(), step("Other")])
    await world.advance(5 * MINUTE)

    assert len(world.ran) == 1 and not world.clock.live()
    await world.release()
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:01"), True, False)]


async def test_a_stop_while_a_tick_is_recorded_leaves_it_to_the_next_start(world: World) -> None:
    world.start(step())
    (timer,) = world.clock.live()
    world.clock.at = timer.at
    timer.callback()
    world.service.stop()
    await world.settle()

    assert world.ran == []
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:01"), False, False)]


# --- by hand


async def test_a_step_can_be_run_now(world: World) -> None:
    world.start(step(cron="@daily"))
    before = world.service.next_runs(1)
    trace_id, future = world.service.run_now("Audit")
    end = await future

    assert end.outcome.status == "ok" and end.done
    assert world.ran == [("Audit", START)]
    assert world.runners.calls[0].span.trace_id == trace_id
    assert world.service.next_runs(1) == before
    assert await world.recorded() == []


async def test_running_now_respects_overlap(world: World) -> None:
    world.hold = True
    world.start(step(), step("Free", overlap=True))
    await world.advance(MINUTE)

    with pytest.raises(AlreadyRunning, match="overlap: true"):
        world.service.run_now("Audit")
    _, future = world.service.run_now("Free")
    await world.release()
    assert (await future).outcome.status == "ok"


async def test_a_paused_step_can_be_run_now_and_a_stopped_one_cannot(world: World) -> None:
    world.start(step())
    await world.service.pause("Audit")
    _, future = world.service.run_now("Audit")
    assert (await future).done

    world.service.stop()
    with pytest.raises(NotServing):
        world.service.run_now("Audit")


async def test_an_unknown_step_is_refused_with_the_known_ones(world: World) -> None:
    world.start(step("A"), step("B"))

    with pytest.raises(UnknownStep, match='no cron step "X"; there are: A, B'):
        world.service.run_now("X")
    with pytest.raises(UnknownStep):
        world.service.next_runs(1, "X")
    with pytest.raises(UnknownStep):
        await world.service.pause("X")


async def test_a_paused_step_lets_its_times_pass(world: World) -> None:
    world.start(step())
    await world.service.pause("Audit")
    await world.advance(2 * MINUTE)
    assert world.ran == []
    assert await world.recorded() == [("Audit", None, True, True)]
    await world.service.resume("Audit")
    await world.advance(MINUTE)

    assert world.times == [ms("2026-01-05T12:03")]


async def test_the_next_runs_of_all_steps_come_in_order(world: World) -> None:
    world.start(step("A", "*/2 * * * *"), step("B", "*/3 * * * *"))

    found = [((at - START + 30_000) // MINUTE, name) for at, name in world.service.next_runs(5)]
    assert found == [(2, "A"), (3, "B"), (4, "A"), (6, "A"), (6, "B")]
    assert [name for _, name in world.service.next_runs(2, "B")] == ["B", "B"]


async def test_steps_can_be_looked_at_without_running_any(world: World) -> None:
    world.service.look([step(catch_up="all")])
    await world.service.pause("Audit")
    await world.advance(DAY)

    assert world.ran == [] and not world.clock.live()
    assert world.job()["paused"]
    assert world.service.next_runs(1) == [(ms("2026-01-05T12:01"), "Audit")]
    with pytest.raises(NotServing):
        world.service.run_now("Audit")
    await world.service.resume("Audit")
    assert not world.job()["paused"]


async def test_the_machines_clock_calls_back() -> None:
    called = asyncio.Event()
    clock = SystemClock()
    clock.call_later(0, called.set)
    await called.wait()

    assert clock.now() > ms("2025-01-01T00:00")
