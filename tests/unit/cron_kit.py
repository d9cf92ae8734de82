"""A cron service over a real store, by a clock and with handlers that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stepweave.calls import Call, Outcome
from stepweave.engine.cron import CronService
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.contract import Done
from stepweave.engine.store.operations import Operation
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.errors import StoreFailed
from stepweave.steps.model import Infrastructure, Kind, QueueOptions, Step
from tests.unit.engine_kit import FakeRunners, Spans

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def ms(text: str) -> int:
    """Unix ms of an ISO time, UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


START = ms("2026-01-05T12:00:30")


def step(name: str = "Audit", cron: str = "* * * * *", retries: int = 3, **more: Any) -> Step:
    return Step(
        name,
        Kind.CRON,
        "python",
        Path(f"/p/steps/{name}.step.py"),
        f"steps/{name}.step.py",
        config={},
        cron=cron,
        infrastructure=Infrastructure(queue=QueueOptions(max_retries=retries)),
        **more,
    )


class FakeTimer:
    def __init__(self, at: int, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """A clock that the test sets, timers included."""

    def __init__(self, at: int) -> None:
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


class Store(SqliteStore):
    """A store that can be told to refuse what is submitted."""

    refuse: str | None = None

    def submit(self, operations: Sequence[Operation], done: Done | None = None) -> int:
        if self.refuse is not None and operations:
            error = StoreFailed(self.refuse)
            if done is not None:
                asyncio.get_running_loop().call_soon(done, error, None)
            return self.last_sequence
        return super().submit(operations, done)


class World:
    """A service with everything around it, and what happened."""

    def __init__(self, folder: Path, at: int = START, timezone: str | None = "UTC") -> None:
        self.clock = FakeClock(at)
        self.timezone = timezone
        self.folder = folder
        self.notices: list[str] = []
        self.runners = FakeRunners()
        self.hold = False
        """Whether handlers wait for `release`."""
        self._open()

    def _open(self) -> None:
        self.store = Store(self.folder)
        self.clock.timers.clear()
        self.service = CronService(
            self.store,
            Invoker(self.runners, Spans(), self.store),
            notice=lambda level, message, call: self.notices.append(f"{level}: {message}"),
            timezone=self.timezone,
            clock=self.clock,
        )

    def start(self, *steps: Step) -> None:
        """Begin with these steps, whose handlers wait if `hold` is set."""
        for each in steps:
            usual = self.runners.behaviours.get(each.name)
            if usual is None:
                self.runners.behaviours[each.name] = self._handle
        self.service.start(steps)

    def _handle(self, _call: Call) -> Outcome | None:
        return None if self.hold else Outcome("ok")

    @property
    def ran(self) -> list[tuple[str, int]]:
        """Step and scheduled time of each call, in order."""
        return [(call.step.name, call.input["scheduled"]) for call in self.runners.calls]

    @property
    def times(self) -> list[int]:
        """The scheduled time of each call, in order."""
        return [at for _, at in self.ran]

    def job(self, name: str = "Audit") -> dict[str, Any]:
        (found,) = [each for each in self.service.statistics() if each["step"] == name]
        return found

    async def recorded(self) -> list[tuple[str, int | None, bool, bool]]:
        """What the store knows: step, newest tick, whether all that began have ended, paused."""
        await self.store.apply(())
        return [(each.step, each.at, not each.begun, each.paused) for each in self.store.cron()]

    async def settle(self) -> None:
        """Wait until what has begun got as far as it can without time or the test."""
        for _ in range(4):
            for _ in range(4):
                await asyncio.sleep(0)
            await self.store.apply(())

    async def advance(self, by: int) -> None:
        """Let time pass, calling timers in their order."""
        end = self.clock.at + by
        while (live := self.clock.live()) and live[0].at <= end:
            timer = live[0]
            self.clock.timers.remove(timer)
            self.clock.at = max(self.clock.at, timer.at)
            timer.callback()
            await self.settle()
        self.clock.at = end

    async def sleep(self, by: int) -> None:
        """Let time pass as on a machine that is suspended: timers come late, all at its end."""
        self.clock.at += by
        for timer in self.clock.live():
            self.clock.timers.remove(timer)
            timer.callback()
        await self.settle()

    async def release(self) -> None:
        """Let every call that is held end well, and go on."""
        self.hold = False
        for call in self.runners.calls:
            call.finish(Outcome("ok"))
        await self.settle()

    async def restart(self, *steps: Step, after: int = 0) -> None:
        """Stop as a killed process does: nothing that runs is heard of again. Then start anew."""
        self.service.stop()
        for call in self.runners.calls:
            call.on_done = None
        await self.store.close()
        self.runners.calls.clear()
        self.notices.clear()
        self.clock.at += after
        self._open()
        self.start(*steps)
        await self.settle()

    async def close(self) -> None:
        self.service.stop()
        await self.store.close()
