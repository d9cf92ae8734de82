"""Cron steps: when each is due, and starting it then, once."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from stepweave.calls import Outcome
from stepweave.errors import StepweaveError, UnknownStep
from stepweave.steps.model import Step
from stepweave.steps.schedule import Schedule, ScheduleError

__all__ = ["AlreadyRunning", "Clock", "CronService", "RecordTick", "Run", "SystemClock", "Timer"]

RecordTick = Callable[[str, int], Awaitable[bool]]
"""(step name, Unix ms) → whether the tick is ours: False if it was recorded before."""

Run = Callable[[Step, int], Awaitable[Outcome]]
"""(step, Unix ms for which it was due) → how the run ended."""

# A timer counts the machine's time awake, a schedule the time of day. So that a sleeping laptop
# or a corrected clock is noticed, no timer runs for longer.
_LONGEST_WAIT_S = 30.0


class AlreadyRunning(StepweaveError):
    """The cron step runs, and its config does not allow a second run beside it."""

    code = "busy"


class Timer(Protocol):
    """A callback that will be called once, unless it is cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """The time of day and timers; tests have one of their own."""

    def now(self) -> int:
        """Unix ms."""
        ...

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer: ...


class SystemClock:
    """The machine's clock and the running loop's timers."""

    def now(self) -> int:
        """Unix ms."""
        return time.time_ns() // 1_000_000

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back on the loop's thread after at least so many seconds awake."""
        return asyncio.get_running_loop().call_later(delay_s, callback)


@dataclass(slots=True)
class _Job:
    """A cron step and what became of it so far. `due` is Unix ms."""

    step: Step
    schedule: Schedule
    due: int
    paused: bool = False
    running: int = 0
    runs: int = 0
    failed: int = 0
    skipped: int = 0
    last: dict[str, Any] | None = None

    @property
    def key(self) -> tuple[str | None, str | None]:
        """What decides the times: a reload that leaves it alone leaves `due` alone."""
        return self.step.cron, self.step.timezone


class CronService:
    """Starts cron steps at their times, from one heap and one timer.

    Each tick is recorded before it runs, so that a restart or a second orchestrator does not
    run it again. A step that still runs is not started beside itself unless it allows that.
    Times that passed while the machine slept count as one, and that one runs late. `notice`
    gets a level and a sentence about what was skipped, late or went wrong.
    """

    def __init__(
        self,
        record_tick: RecordTick,
        run: Run,
        *,
        notice: Callable[[str, str], None] = lambda level, message: None,
        timezone: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`timezone` is that of steps that name none; None is the server's."""
        self._record_tick = record_tick
        self._run = run
        self._notice = notice
        self._timezone = timezone
        self._clock: Clock = clock or SystemClock()
        self._jobs: dict[str, _Job] = {}
        self._heap: list[tuple[int, str]] = []
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._going = False

    # --- life

    def start(self, steps: Iterable[Step]) -> None:
        """Begin with these steps; call it on the running loop."""
        self._going = True
        self.reschedule(steps)

    def reschedule(self, steps: Iterable[Step]) -> None:
        """Make these the cron steps. One whose expression stays keeps its next time and counts."""
        jobs = {}
        for step in steps:
            job = self._job(step)
            if job is not None:
                jobs[step.name] = job
        self._jobs = jobs
        self._heap = [(job.due, name) for name, job in jobs.items()]
        heapq.heapify(self._heap)
        self._arm()

    async def stop(self) -> None:
        """Start nothing any more. What runs goes on: it ends with its runner."""
        self._going = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- by hand

    async def run_now(self, name: str) -> Outcome:
        """Run a step out of turn and say how that ended; its next time stays.

        Raises UnknownStep, or AlreadyRunning.
        """
        job = self._known(name)
        if job.running and not job.step.overlap:
            raise AlreadyRunning(
                f"{name} is running; wait for its end, or set overlap: true in its config"
            )
        return await self._start(job, self._clock.now())

    def pause(self, name: str) -> None:
        """Let a step's times pass without a run, until `resume` or a restart."""
        self._known(name).paused = True

    def resume(self, name: str) -> None:
        """Run a paused step again at its times."""
        self._known(name).paused = False

    # --- looking

    def next_runs(self, count: int, name: str | None = None) -> list[tuple[int, str]]:
        """The next (Unix ms, step name) of one step, or of all together, soonest first."""
        jobs = self._jobs.values() if name is None else [self._known(name)]
        found = []
        for job in jobs:
            at = job.due
            for _ in range(count):
                found.append((at, job.step.name))
                at = job.schedule.after(at)
        return sorted(found)[:count]

    def statistics(self) -> list[dict[str, Any]]:
        """Each cron step with its next time, its last run and its counts; times in Unix ms."""
        return [
            {
                "step": name,
                "cron": job.step.cron,
                "timezone": str(job.schedule.timezone),
                "next": job.due,
                "paused": job.paused,
                "running": job.running,
                "runs": job.runs,
                "failed": job.failed,
                "skipped": job.skipped,
                "last": job.last,
            }
            for name, job in sorted(self._jobs.items())
        ]

    # --- parts

    def _known(self, name: str) -> _Job:
        try:
            return self._jobs[name]
        except KeyError:
            known = ", ".join(sorted(self._jobs)) or "none"
            raise UnknownStep(f'there is no cron step "{name}"; there are: {known}') from None

    def _job(self, step: Step) -> _Job | None:
        """The step's job, which is the one it had; None if its expression gives no times."""
        job = self._jobs.get(step.name)
        if job is not None and job.key == (step.cron, step.timezone):
            job.step = step
            return job
        try:
            schedule = Schedule(step.cron or "", step.timezone or self._timezone)
            due = schedule.after(self._clock.now())
        except ScheduleError as error:
            self._notice("error", f"{step.relpath}: {step.name} has no times: {error}")
            return None
        if job is None:
            return _Job(step, schedule, due)
        job.step, job.schedule, job.due = step, schedule, due
        return job

    def _arm(self) -> None:
        """Set the one timer for the soonest time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._going and self._heap:
            wait_s = max(0.0, (self._heap[0][0] - self._clock.now()) / 1000)
            self._timer = self._clock.call_later(min(wait_s, _LONGEST_WAIT_S), self._wake)

    def _wake(self) -> None:
        """Start what is due, and put each back with its next time."""
        self._timer = None
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            at, name = self._heap[0]
            job = self._jobs[name]
            job.due = job.schedule.after(max(at, now))
            heapq.heapreplace(self._heap, (job.due, name))
            missed = job.schedule.after(at) <= now
            if job.paused:
                continue
            if missed:
                late_s = (now - at) // 1000
                self._notice(
                    "warn", f"{name} was due {late_s} s ago and more than once; it runs once"
                )
            task = asyncio.ensure_future(self._tick(job, at))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._arm()

    async def _tick(self, job: _Job, at: int) -> None:
        name = job.step.name
        if job.running and not job.step.overlap:
            job.skipped += 1
            self._notice("warn", f"{name} is skipped: its last run has not ended")
            return
        job.running += 1  # at once: another tick must not pass while this one is recorded
        try:
            recorded = await self._record_tick(name, at)
        except StepweaveError as error:
            recorded = False
            self._notice("error", f"{name} is skipped: its time cannot be recorded: {error}")
        finally:
            job.running -= 1
        if recorded and self._going:
            await self._start(job, at)

    async def _start(self, job: _Job, at: int) -> Outcome:
        job.running += 1
        began = self._clock.now()
        try:
            outcome = await self._run(job.step, at)
        except StepweaveError as error:
            outcome = Outcome("error", None, error.to_wire())
            self._notice("error", f"{job.step.name} did not run: {error}")
        finally:
            job.running -= 1
        job.runs += 1
        job.failed += outcome.status != "ok"
        job.last = {
            "at": at,
            "status": outcome.status,
            "duration_ms": self._clock.now() - began,
        }
        return outcome
