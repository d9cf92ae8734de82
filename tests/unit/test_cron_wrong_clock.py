"""A clock that was far ahead for a while: cron steps go on by the right one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.cron_kit import DAY, HOUR, MINUTE, START, World, ms, step

pytestmark = pytest.mark.anyio

YEARS = 3000 * DAY


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize("catch_up", ["none", "once", "all"])
async def test_a_tick_far_ahead_of_the_clock_holds_nothing_after_a_restart(
    world: World, catch_up: str
) -> None:
    audit = step(catch_up=catch_up)
    world.clock.at += YEARS
    world.start(audit)
    await world.advance(MINUTE)
    assert len(world.times) == 1

    await world.restart(audit, after=-YEARS - MINUTE)
    assert world.notices == [
        "warn: Audit ran for 2034-03-24 12:01:00+00:00, more than a day from now: the clock was "
        "wrong then. It runs next at 2026-01-05 12:01:00+00:00"
    ]
    await world.advance(2 * MINUTE)
    assert world.times == [ms("2026-01-05T12:01"), ms("2026-01-05T12:02")]

    await world.restart(audit)
    assert world.notices == []
    await world.advance(MINUTE)
    assert world.times == [ms("2026-01-05T12:03")]


async def test_steps_go_on_at_once_when_the_clock_is_right_again(world: World) -> None:
    world.start(step(), step("Yearly", cron="@yearly"))
    await world.sleep(YEARS)
    assert len(world.times) == 2

    await world.sleep(-YEARS)
    await world.advance(2 * MINUTE)
    assert world.times[2:] == [ms("2026-01-05T12:01"), ms("2026-01-05T12:02")]
    assert world.job("Yearly")["next"] == ms("2027-01-01")
    assert await world.recorded() == [
        ("Audit", ms("2026-01-05T12:02"), True, False),
        ("Yearly", START, True, False),
    ]


async def test_a_clock_that_is_set_back_by_less_than_a_day_repeats_nothing(world: World) -> None:
    world.start(step(cron="@hourly"))
    await world.advance(20 * HOUR)
    world.clock.at -= 19 * HOUR
    await world.advance(19 * HOUR)
    assert len(world.times) == len(set(world.times)) == 20


async def test_what_was_missed_since_the_clock_was_right_again_is_made_up(world: World) -> None:
    audit = step(cron="@daily", catch_up="once")
    world.clock.at += YEARS
    world.start(audit)
    await world.advance(DAY)
    await world.restart(audit, after=-YEARS - DAY)
    await world.restart(audit, after=3 * DAY)
    assert world.times == [ms("2026-01-08")]
