"""What a restart, a sleep, a pause and a runner's death make of a cron step's times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepweave.calls import Call, Outcome
from stepweave.engine.store.operations import StateSet
from stepweave.errors import ShuttingDown
from stepweave.payload import encode
from tests.unit.cron_kit import DAY, HOUR, MINUTE, SECOND, World, ms, step
from tests.unit.engine_kit import LOST, OK, failed

pytestmark = pytest.mark.anyio

NOON = ms("2026-01-05T12:00")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.close()


def attempts(world: World) -> list[tuple[int, int, int]]:
    """Minute after noon, attempt and suspicion of each call."""
    return [
        ((call.input["scheduled"] - NOON) // MINUTE, call.attempt, call.suspect)
        for call in world.runners.calls
    ]


# --- a run that had not ended


@pytest.mark.parametrize("catch_up", ["none", "once", "all"])
async def test_an_interrupted_run_is_run_again_once(world: World, catch_up: Any) -> None:
    every_hour = step(cron="1 * * * *", catch_up=catch_up)
    world.hold = True
    world.start(every_hour)
    await world.advance(MINUTE)
    assert attempts(world) == [(1, 1, 0)]
    world.hold = False
    await world.restart(every_hour, after=MINUTE)

    assert attempts(world) == [(1, 2, 0)]
    assert world.notices == [
        "warn: Audit had not ended its run for 2026-01-05 12:01:00+00:00; it is run again"
    ]
    await world.restart(every_hour, after=MINUTE)
    assert world.ran == [] and world.notices == []


async def test_of_runs_beside_each_other_each_is_run_again(world: World) -> None:
    every_minute = step(cron="* * * * *", overlap=True)
    world.hold = True
    world.start(every_minute)
    await world.advance(3 * MINUTE)
    second = world.runners.calls[1]
    second.finish(OK)
    world.hold = False
    await world.restart(every_minute, after=SECOND)

    assert attempts(world) == [(1, 2, 0), (3, 2, 0)]
    assert await world.recorded() == [("Audit", NOON + 3 * MINUTE, True, False)]


async def test_a_run_that_never_ends_is_tried_once_at_each_start(world: World) -> None:
    world.hold = True
    world.start(step(cron="1 * * * *"))
    await world.advance(MINUTE)
    for _ in range(3):
        await world.restart(step(cron="1 * * * *"), after=MINUTE)
        assert attempts(world) == [(1, 2, 0)]


async def test_a_run_that_a_stop_cut_short_is_run_again_after_it(world: World) -> None:
    stopping = Outcome("lost", None, ShuttingDown("bye").to_wire())
    world.runners.behaviours["Audit"] = lambda call: stopping
    world.start(step())
    await world.advance(MINUTE)
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:01"), False, False)]
    assert world.job()["last"]["status"] == "interrupted"
    world.runners.behaviours["Audit"] = lambda call: OK
    await world.restart(step())

    assert attempts(world) == [(1, 2, 0)]


async def test_a_run_that_ended_is_not_repeated_when_the_clock_is_set_back(world: World) -> None:
    world.start(step())
    await world.advance(MINUTE)
    world.clock.at -= 2 * MINUTE
    await world.advance(3 * MINUTE)
    assert attempts(world) == [(1, 1, 0), (2, 1, 0)]

    await world.restart(step(), after=-HOUR)
    assert world.notices == [
        "warn: Audit ran for 2026-01-05 12:02:00+00:00, which is yet to come: the clock was set "
        "back. It runs next at 2026-01-05 12:03:00+00:00"
    ]
    await world.advance(HOUR + MINUTE)
    assert attempts(world) == [(3, 1, 0)]


async def test_how_the_last_run_ended_is_known_after_a_restart(world: World) -> None:
    world.start(step(cron="1 * * * *"))
    await world.advance(MINUTE)
    await world.restart(step(cron="1 * * * *"))

    last = world.job()["last"]
    assert (last["at"], last["status"]) == (ms("2026-01-05T12:01"), "ended")


# --- times that passed while nothing ran


async def test_without_catch_up_missed_times_are_passed_over(world: World) -> None:
    world.start(step())
    await world.advance(MINUTE)
    await world.restart(step(), after=5 * MINUTE)

    assert world.ran == []
    assert world.notices == [
        "info: Audit missed 5 times while nothing ran, the last at 2026-01-05 12:06:00+00:00; "
        "they are passed over"
    ]
    await world.advance(MINUTE)
    assert attempts(world) == [(7, 1, 0)]


async def test_catching_up_once_runs_for_the_newest_missed_time(world: World) -> None:
    world.start(step(catch_up="once"))
    await world.advance(MINUTE)
    await world.restart(step(catch_up="once"), after=5 * MINUTE)

    assert attempts(world) == [(6, 1, 0)]
    assert world.notices == [
        "info: Audit missed 5 times while nothing ran; it runs once, for 2026-01-05 12:06:00+00:00"
    ]
    await world.restart(step(catch_up="once"))
    assert world.ran == [] and world.notices == []


async def test_catching_up_with_all_runs_each_in_order_one_after_another(world: World) -> None:
    every = step(catch_up="all", overlap=True)
    world.start(every)
    await world.advance(MINUTE)
    world.hold = True
    await world.restart(every, after=3 * MINUTE)

    assert attempts(world) == [(2, 1, 0)]
    assert world.job()["missed"] == 2
    await world.advance(MINUTE)
    assert world.job()["missed"] == 3, "a new time queues up behind those that were missed"
    await world.release()
    assert attempts(world) == [(n, 1, 0) for n in (2, 3, 4, 5)]
    await world.advance(MINUTE)
    assert attempts(world)[-1] == (6, 1, 0)


async def test_a_crash_while_it_catches_up_loses_and_repeats_nothing(world: World) -> None:
    every = step(catch_up="all")
    world.start(every)
    await world.advance(MINUTE)
    await world.restart()
    world.runners.behaviours["Audit"] = lambda call: OK if len(world.ran) < 3 else None
    await world.restart(every, after=5 * MINUTE)
    assert attempts(world) == [(2, 1, 0), (3, 1, 0), (4, 1, 0)]

    world.runners.behaviours["Audit"] = lambda call: OK
    await world.restart(every)
    assert attempts(world) == [(4, 2, 0), (5, 1, 0), (6, 1, 0)]


async def test_only_the_newest_thousand_are_made_up(world: World) -> None:
    every = step(cron="* * * * * *", catch_up="all")
    world.start(every)
    await world.advance(SECOND)
    await world.restart(after=DAY)
    world.hold = True
    world.start(every)
    await world.settle()

    assert world.times == [world.clock.at - 999 * SECOND]
    assert world.job()["missed"] == 999
    assert world.notices == [
        "warn: Audit missed more than 1,000 times while nothing ran; it runs for each of the "
        "newest 1,000, one after another"
    ]


async def test_counting_what_is_passed_over_has_an_end(world: World) -> None:
    every = step(cron="* * * * * *")
    world.start(every)
    await world.advance(SECOND)
    await world.restart(every, after=300 * DAY)

    assert "Audit missed more than 100 times while nothing ran" in world.notices[0]


@pytest.mark.parametrize("catch_up", ["once", "all"])
async def test_a_new_step_has_missed_nothing_and_can_from_then_on(
    world: World, catch_up: Any
) -> None:
    rare = step(cron="0 13 * * *", catch_up=catch_up)
    world.start(rare)
    await world.settle()
    assert world.ran == []
    await world.restart(rare, after=2 * HOUR)

    assert world.times == [ms("2026-01-05T13:00")]


async def test_what_overlap_skipped_is_not_made_up_later(world: World) -> None:
    world.hold = True
    world.start(step(catch_up="all"))
    await world.advance(3 * MINUTE)
    await world.release()
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:03"), True, False)]
    await world.restart(step(catch_up="all"), after=MINUTE)

    assert attempts(world) == [(4, 1, 0)]


async def test_a_time_that_could_not_be_recorded_is_made_up_at_the_next(world: World) -> None:
    world.start(step(catch_up="all"))
    await world.settle()
    world.store.refuse = "the disk is full"
    await world.advance(2 * MINUTE)
    assert world.ran == []
    world.store.refuse = None
    await world.advance(MINUTE)

    assert attempts(world) == [(1, 1, 0), (2, 1, 0), (3, 1, 0)]


# --- times that passed while the machine slept


async def test_times_that_passed_asleep_count_as_one(world: World) -> None:
    world.start(step(), step("Rare", "30 12 * * *"))
    await world.sleep(HOUR)

    assert sorted(world.ran) == [
        ("Audit", ms("2026-01-05T13:00")),
        ("Rare", ms("2026-01-05T12:30")),
    ]
    assert world.notices == [
        "warn: Audit was due 60 times in the last 3570 s, while the machine slept or was busy; "
        "it runs once"
    ]
    await world.advance(MINUTE)
    assert world.ran[-1] == ("Audit", ms("2026-01-05T13:01"))


async def test_times_that_passed_asleep_are_all_run_if_the_config_wants_all(world: World) -> None:
    world.start(step(catch_up="all"))
    await world.sleep(4 * MINUTE)

    assert attempts(world) == [(1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 1, 0)]


# --- pauses


async def test_a_pause_outlives_a_restart(world: World) -> None:
    world.start(step())
    await world.service.pause("Audit")
    await world.restart(step(), after=5 * MINUTE)
    await world.advance(MINUTE)

    assert world.job()["paused"] and world.ran == [] and world.notices == []
    await world.service.resume("Audit")
    await world.restart(step())
    assert not world.job()["paused"]


@pytest.mark.parametrize("catch_up", ["once", "all"])
async def test_times_of_a_pause_are_never_made_up(world: World, catch_up: Any) -> None:
    every = step(catch_up=catch_up)
    world.start(every)
    await world.advance(MINUTE)
    await world.service.pause("Audit")
    await world.advance(3 * MINUTE)
    await world.service.resume("Audit")
    assert attempts(world) == [(1, 1, 0)]
    await world.restart(every)
    assert world.ran == []
    await world.restart(every, after=MINUTE)
    assert attempts(world) == [(5, 1, 0)]


async def test_times_of_a_pause_during_a_run_are_never_made_up(world: World) -> None:
    every = step(catch_up="all")
    world.hold = True
    world.start(every)
    await world.advance(MINUTE)
    await world.service.pause("Audit")
    await world.advance(3 * MINUTE)
    await world.service.resume("Audit")
    await world.release()
    await world.restart(every)

    assert world.ran == []


async def test_an_interrupted_run_of_a_paused_step_waits_for_the_end_of_the_pause(
    world: World,
) -> None:
    world.hold = True
    world.start(step())
    await world.advance(MINUTE)
    await world.service.pause("Audit")
    await world.restart(step())
    assert world.ran == []
    await world.service.resume("Audit")
    await world.settle()

    assert attempts(world) == [(1, 2, 0)]


# --- runners that die


async def test_a_run_that_loses_its_runner_is_tried_again_and_apart(world: World) -> None:
    deaths = 2
    world.runners.behaviours["Audit"] = lambda call: LOST if call.attempt <= deaths else OK
    world.start(step())
    await world.advance(30 * SECOND + 500)

    assert attempts(world) == [(1, 1, 0), (1, 2, 1), (1, 3, 2)]
    assert len({call.span.trace_id for call in world.runners.calls}) == 1
    assert world.notices == [
        "warn: Audit lost its runner (it was killed); try 2 of 4 follows",
        "warn: Audit lost its runner (it was killed); try 3 of 4 follows",
    ]
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:01"), True, False)]
    found = world.job()
    assert (found["runs"], found["failed"], found["running"]) == (1, 0, 0)


@pytest.mark.parametrize(("retries", "tries"), [(0, [(1, 0), (2, 2)]), (1, [(1, 0), (2, 2)]),
                                                (2, [(1, 0), (2, 1), (3, 2)])])  # fmt: skip
async def test_a_run_that_kills_its_runner_each_time_fails_in_the_end(
    world: World, retries: int, tries: list[tuple[int, int]]
) -> None:
    world.runners.behaviours["Audit"] = lambda call: LOST
    world.start(step(retries=retries))
    await world.advance(MINUTE)

    assert attempts(world) == [(1, *each) for each in tries]
    assert world.notices[-1] == "error: Audit failed: it was killed"
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:01"), True, False)]


async def test_a_handler_that_fails_after_a_death_is_not_tried_again(world: World) -> None:
    world.runners.behaviours["Audit"] = lambda call: LOST if call.attempt == 1 else failed()
    world.start(step())
    await world.advance(MINUTE)

    assert attempts(world) == [(1, 1, 0), (1, 2, 1)]
    assert world.job()["failed"] == 1


async def test_a_runner_that_is_not_there_yet_costs_no_try(world: World) -> None:
    missing = Outcome("lost", None, {"code": "busy", "message": "not started"})

    def answer(_call: Call) -> Outcome:
        return missing if len(world.ran) < 6 else OK

    world.runners.behaviours["Audit"] = answer
    world.start(step(retries=0))
    await world.advance(50 * SECOND)

    assert attempts(world) == [(1, 1, 0)] * 6
    assert world.job()["failed"] == 0


async def test_a_stop_between_two_tries_leaves_the_run_to_the_next_start(world: World) -> None:
    world.runners.behaviours["Audit"] = lambda call: LOST
    world.start(step())
    await world.advance(30 * SECOND)
    assert attempts(world) == [(1, 1, 0)]
    world.runners.behaviours["Audit"] = lambda call: OK
    await world.restart(step())

    assert attempts(world) == [(1, 2, 0)]


async def test_a_step_that_leaves_between_two_tries_is_run_when_it_returns(world: World) -> None:
    world.runners.behaviours["Audit"] = lambda call: LOST
    world.start(step())
    await world.advance(30 * SECOND)
    world.runners.behaviours["Audit"] = lambda call: OK
    world.service.reschedule([])
    await world.advance(SECOND)
    assert len(world.ran) == 1
    world.service.reschedule([step()])
    await world.settle()

    assert attempts(world) == [(1, 1, 0), (1, 2, 0)]


# --- atomic steps


async def test_an_atomic_run_ends_together_with_what_it_wrote(world: World) -> None:
    def handle(call: Call) -> Outcome:
        assert call.transaction is not None
        call.transaction.submit((StateSet("g", "k", encode(1)),), lambda error, results: None)
        return OK

    world.runners.behaviours["Audit"] = handle
    world.start(step(atomic=True))
    units: list[list[str]] = []
    submit = world.store.submit

    def watch(operations: Any, done: Any = None) -> int:
        units.append([type(op).__name__ for op in operations])
        return submit(operations, done)

    world.store.submit = watch  # type: ignore[method-assign]
    await world.advance(MINUTE)

    assert [unit for unit in units if unit] == [["CronTick"], ["StateSet", "CronDone"]]
    assert await world.recorded() == [("Audit", ms("2026-01-05T12:01"), True, False)]
    assert world.job()["last"]["status"] == "ok"


async def test_an_atomic_run_that_fails_is_done_without_its_writes(world: World) -> None:
    world.runners.behaviours["Audit"] = lambda call: failed()
    world.start(step(atomic=True))
    await world.advance(MINUTE)

    assert await world.recorded() == [("Audit", ms("2026-01-05T12:01"), True, False)]
    assert world.job()["failed"] == 1
