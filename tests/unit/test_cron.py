"""Cron steps by a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stepweave.calls import Outcome
from stepweave.engine.cron import AlreadyRunning, CronService, SystemClock
from stepweave.errors import StoreFailed, UnknownStep
from stepweave.steps.model import Kind, Step

pytestmark = pytest.mark.anyio

MINUTE = 60_000
HOUR = 60 * MINUTE


def ms(text: str) -> int:
    """Unix ms of an ISO time, UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


START = ms("2026-01-05T12:00:30")


class FakeTimer:
    def __init__(self, at: int, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """A clock whose time passes in `advance` only, timers included."""

    def __init__(self, at: int = START) -> None:
        self.at = at
        self.timers: list[FakeTimer] = []

    def now(self) -> int:
        return self.at

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> FakeTimer:
        self.timers.append(FakeTimer(self.at + round(delay_s * 1000), callback))
        return self.timers[-1]

    def live(self) -> list[FakeTimer]:
        return sorted(
            (timer for timer in self.timers if not timer.cancelled), key=lambda timer: timer.at
        )

    async def advance(self, by: int) -> None:
        """Let time pass, calling timers in their order."""
        end = self.at + by
        while (live := self.live()) and live[0].at <= end:
            timer = live[0]
            self.timers.remove(timer)
            self.at = max(self.at, timer.at)
            timer.callback()
            await settle()
        self.at = end

    async def sleep(self, by: int) -> None:
        """Let time pass as on a machine that is suspended: timers come late, all at its end."""
        self.at += by
        for timer in self.live():
            self.timers.remove(timer)
            timer.callback()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class World:
    """A service with everything around it, and what happened."""

    def __init__(self, at: int = START, timezone: str | None = "UTC") -> None:
        self.clock = FakeClock(at)
        self.ran: list[tuple[str, int]] = []
        self.ticks: list[tuple[str, int]] = []
        self.notices: list[str] = []
        self.hold: asyncio.Event | None = None
        self.outcome = Outcome("ok")
        self.refuse: Any = None
        self.service = CronService(
            self.record,
            self.run,
            notice=lambda level, message: self.notices.append(f"{level}: {message}"),
            timezone=timezone,
            clock=self.clock,
        )

    async def record(self, name: str, at: int) -> bool:
        if isinstance(self.refuse, Exception):
            raise self.refuse
        if (name, at) in self.ticks or self.refuse:
            return False
        self.ticks.append((name, at))
        return True

    async def run(self, step: Step, at: int) -> Outcome:
        self.ran.append((step.name, at))
        if self.hold is not None:
            await self.hold.wait()
        return self.outcome


@pytest.fixture
def world() -> World:
    return World()


def step(name: str = "Audit", cron: str = "* * * * *", **more: Any) -> Step:
    path = Path(f"/p/steps/{name}.step.py")
    return Step(
        name, Kind.CRON, "python", path, f"steps/{name}.step.py", config={}, cron=cron, **more
    )


async def test_a_step_runs_at_each_of_its_times(world: World) -> None:
    world.service.start([step()])
    await world.clock.advance(3 * MINUTE)

    assert world.ran == [
        ("Audit", ms("2026-01-05T12:01")),
        ("Audit", ms("2026-01-05T12:02")),
        ("Audit", ms("2026-01-05T12:03")),
    ]
    assert world.ticks == world.ran


async def test_seconds_come_first_in_six_fields(world: World) -> None:
    world.service.start([step(cron="*/15 * * * * *")])
    await world.clock.advance(MINUTE)

    assert [at - START for _, at in world.ran] == [15_000, 30_000, 45_000, 60_000]


async def test_one_timer_serves_many_steps_in_the_order_of_their_times(world: World) -> None:
    world.service.start([step("C", "5 * * * *"), step("A", "1 * * * *"), step("B", "3 * * * *")])
    assert len(world.clock.live()) == 1
    await world.clock.advance(10 * MINUTE)

    assert [name for name, _ in world.ran] == ["A", "B", "C"]


async def test_steps_that_are_due_together_all_run(world: World) -> None:
    world.service.start([step(name) for name in "ABC"])
    await world.clock.advance(MINUTE)

    assert sorted(name for name, _ in world.ran) == ["A", "B", "C"]


async def test_a_timer_looks_at_the_clock_again_within_half_a_minute(world: World) -> None:
    world.service.start([step(cron="@yearly")])

    (timer,) = world.clock.live()
    assert timer.at == START + 30_000


async def test_a_tick_that_was_recorded_before_does_not_run(world: World) -> None:
    world.ticks.append(("Audit", ms("2026-01-05T12:01")))
    world.service.start([step()])
    await world.clock.advance(2 * MINUTE)

    assert world.ran == [("Audit", ms("2026-01-05T12:02"))]


async def test_a_tick_that_cannot_be_recorded_is_skipped_and_said(world: World) -> None:
    world.refuse = StoreFailed("the disk is full")
    world.service.start([step()])
    await world.clock.advance(MINUTE)
    world.refuse = None
    await world.clock.advance(MINUTE)

    assert world.ran == [("Audit", ms("2026-01-05T12:02"))]
    assert world.notices == [
        "error: Audit is skipped: its time cannot be recorded: the disk is full"
    ]


async def test_a_step_that_still_runs_is_skipped_and_said(world: World) -> None:
    world.hold = asyncio.Event()
    world.service.start([step()])
    await world.clock.advance(3 * MINUTE)
    assert len(world.ran) == 1
    assert world.notices == ["warn: Audit is skipped: its last run has not ended"] * 2
    assert world.ticks == [("Audit", ms("2026-01-05T12:01"))]

    world.hold.set()
    await settle()
    await world.clock.advance(MINUTE)
    assert world.ran[-1] == ("Audit", ms("2026-01-05T12:04"))
    assert world.service.statistics()[0]["skipped"] == 2


async def test_a_step_may_run_beside_itself_if_it_says_so(world: World) -> None:
    world.hold = asyncio.Event()
    world.service.start([step(overlap=True)])
    await world.clock.advance(3 * MINUTE)

    assert len(world.ran) == 3 and not world.notices
    assert world.service.statistics()[0]["running"] == 3
    world.hold.set()
    await settle()


async def test_times_that_passed_asleep_count_as_one(world: World) -> None:
    world.service.start([step(), step("Rare", "30 12 * * *")])
    await world.clock.sleep(HOUR)

    assert sorted(world.ran) == [
        ("Audit", ms("2026-01-05T12:01")),
        ("Rare", ms("2026-01-05T12:30")),
    ]
    assert world.notices == ["warn: Audit was due 3570 s ago and more than once; it runs once"]
    await world.clock.advance(MINUTE)
    assert world.ran[-1] == ("Audit", ms("2026-01-05T13:01"))


async def test_nothing_runs_twice_when_the_clock_is_set_back(world: World) -> None:
    world.service.start([step()])
    await world.clock.advance(MINUTE)
    world.clock.at -= 2 * MINUTE
    await world.clock.advance(3 * MINUTE)

    assert world.ran == [("Audit", ms("2026-01-05T12:01")), ("Audit", ms("2026-01-05T12:02"))]


# --- time zones


async def test_a_step_runs_by_its_own_zone_or_the_projects() -> None:
    world = World(ms("2026-01-05T00:00"), timezone="Europe/Berlin")
    world.service.start(
        [step("Ours", "0 9 * * *"), step("Theirs", "0 9 * * *", timezone="America/New_York")]
    )

    assert world.service.next_runs(2) == [
        (ms("2026-01-05T09:00+01:00"), "Ours"),
        (ms("2026-01-05T09:00-05:00"), "Theirs"),
    ]


async def test_a_time_in_the_repeated_hour_runs_once() -> None:
    world = World(ms("2026-11-01T00:00-04:00"))
    world.service.start(
        [step("Fixed", "30 1 * * *", timezone="America/New_York"),
         step("Often", "30 * * * *", timezone="America/New_York")]
    )  # fmt: skip
    await world.clock.advance(5 * HOUR)

    assert [at for name, at in world.ran if name == "Fixed"] == [ms("2026-11-01T01:30-04:00")]
    assert [at for name, at in world.ran if name == "Often"] == [
        ms("2026-11-01T00:30-04:00"),
        ms("2026-11-01T01:30-04:00"),
        ms("2026-11-01T01:30-05:00"),
        ms("2026-11-01T02:30-05:00"),
        ms("2026-11-01T03:30-05:00"),
    ]


async def test_a_time_in_the_skipped_hour_runs_once_right_after_it() -> None:
    world = World(ms("2026-03-08T00:00-05:00"))
    world.service.start([step(cron="0,30 2 * * *", timezone="America/New_York")])
    await world.clock.advance(24 * HOUR)

    assert [at for _, at in world.ran] == [ms("2026-03-08T03:00-04:00")]


# --- reload


async def test_a_reload_that_leaves_the_times_alone_keeps_the_next_one(world: World) -> None:
    world.service.start([step(cron="0 * * * *")])
    before = world.service.statistics()[0]["next"]
    await world.clock.advance(MINUTE)
    changed = step(cron="0 * * * *", revision=2)
    world.service.reschedule([changed])

    assert world.service.statistics()[0]["next"] == before
    assert len(world.clock.live()) == 1
    await world.clock.advance(HOUR)
    assert len(world.ran) == 1


async def test_a_reload_swaps_expressions_and_steps(world: World) -> None:
    world.service.start([step("A", "1 * * * *"), step("B", "2 * * * *")])
    world.service.reschedule([step("B", "3 * * * *"), step("C", "4 * * * *")])
    await world.clock.advance(10 * MINUTE)

    assert [(name, (at - START) // MINUTE) for name, at in world.ran] == [("B", 2), ("C", 3)]


async def test_a_reload_during_a_run_still_keeps_it_from_overlapping(world: World) -> None:
    world.hold = asyncio.Event()
    world.service.start([step()])
    await world.clock.advance(MINUTE)
    world.service.reschedule([step(cron="*/2 * * * *")])
    await world.clock.advance(2 * MINUTE)
    assert len(world.ran) == 1

    world.hold.set()
    await settle()
    await world.clock.advance(2 * MINUTE)
    assert len(world.ran) == 2


async def test_a_step_without_times_is_said_and_left_out(world: World) -> None:
    world.service.start([step(cron="0 0 31 2 *"), step("Good")])

    assert [item["step"] for item in world.service.statistics()] == ["Good"]
    assert "steps/Audit.step.py: Audit has no times" in world.notices[0]


async def test_nothing_runs_after_the_stop(world: World) -> None:
    world.hold = asyncio.Event()
    world.service.start([step()])
    await world.clock.advance(MINUTE)
    await world.service.stop()
    world.service.reschedule([step(), step("Other")])
    await world.clock.advance(5 * MINUTE)

    assert len(world.ran) == 1 and not world.clock.live()
    world.hold.set()
    await settle()


async def test_a_stop_while_a_tick_is_recorded_wins(world: World) -> None:
    recording = asyncio.Event()

    async def slow(name: str, at: int) -> bool:
        await recording.wait()
        return True

    service = CronService(slow, world.run, clock=world.clock, timezone="UTC")
    service.start([step()])
    await world.clock.advance(MINUTE)
    await service.stop()
    recording.set()
    await settle()

    assert world.ran == []


# --- by hand


async def test_a_step_can_be_run_now(world: World) -> None:
    world.service.start([step(cron="@daily")])
    before = world.service.next_runs(1)
    outcome = await world.service.run_now("Audit")

    assert outcome.status == "ok"
    assert world.ran == [("Audit", START)]
    assert world.service.next_runs(1) == before


async def test_running_now_respects_overlap(world: World) -> None:
    world.hold = asyncio.Event()
    world.service.start([step(), step("Free", overlap=True)])
    await world.clock.advance(MINUTE)

    with pytest.raises(AlreadyRunning, match="overlap: true"):
        await world.service.run_now("Audit")
    free = asyncio.ensure_future(world.service.run_now("Free"))
    await settle()
    world.hold.set()
    assert (await free).status == "ok"


async def test_an_unknown_step_is_refused_with_the_known_ones(world: World) -> None:
    world.service.start([step("A"), step("B")])

    with pytest.raises(UnknownStep, match='no cron step "X"; there are: A, B'):
        await world.service.run_now("X")
    with pytest.raises(UnknownStep):
        world.service.next_runs(1, "X")


async def test_a_paused_step_lets_its_times_pass(world: World) -> None:
    world.service.start([step()])
    world.service.pause("Audit")
    await world.clock.advance(2 * MINUTE)
    assert world.ran == []
    world.service.resume("Audit")
    await world.clock.advance(MINUTE)

    assert world.ran == [("Audit", ms("2026-01-05T12:03"))]


async def test_the_next_runs_of_all_steps_come_in_order(world: World) -> None:
    world.service.start([step("A", "*/2 * * * *"), step("B", "*/3 * * * *")])

    found = [((at - START + 30_000) // MINUTE, name) for at, name in world.service.next_runs(5)]
    assert found == [(2, "A"), (3, "B"), (4, "A"), (6, "A"), (6, "B")]
    assert [name for _, name in world.service.next_runs(2, "B")] == ["B", "B"]


async def test_the_last_run_is_told_with_its_result(world: World) -> None:
    world.outcome = Outcome("error", None, {"code": "handler_failed"})
    world.service.start([step()])
    assert world.service.statistics()[0]["last"] is None
    await world.clock.advance(MINUTE)

    (found,) = world.service.statistics()
    assert found == {
        "step": "Audit",
        "cron": "* * * * *",
        "timezone": "UTC",
        "next": ms("2026-01-05T12:02"),
        "paused": False,
        "running": 0,
        "runs": 1,
        "failed": 1,
        "skipped": 0,
        "last": {"at": ms("2026-01-05T12:01"), "status": "error", "duration_ms": 0},
    }


async def test_a_run_that_is_refused_counts_as_failed(world: World) -> None:
    async def refuse(step: Step, at: int) -> Outcome:
        raise StoreFailed("shutting down")

    service = CronService(
        world.record, refuse, notice=lambda level, text: world.notices.append(text),
        clock=world.clock, timezone="UTC",
    )  # fmt: skip
    service.start([step()])
    await world.clock.advance(MINUTE)

    assert service.statistics()[0]["failed"] == 1
    assert world.notices == ["Audit did not run: shutting down"]


async def test_the_machines_clock_calls_back() -> None:
    called = asyncio.Event()
    clock = SystemClock()
    clock.call_later(0, called.set)
    await called.wait()

    assert clock.now() > ms("2025-01-01T00:00")
