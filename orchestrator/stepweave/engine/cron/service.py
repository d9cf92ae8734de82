"""Knows when cron steps are due, and starts them then."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable
from typing import Any

from stepweave.engine.cron.clock import Clock, SystemClock, Timer
from stepweave.engine.cron.job import Job
from stepweave.engine.cron.ledger import Ledger, passing
from stepweave.engine.cron.recovery import set_right, take_up
from stepweave.engine.cron.runs import Ended, Notice, Runs
from stepweave.engine.cron.ticks import Ticks
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.contract import CronState, Store
from stepweave.engine.store.operations import WRONG_CLOCK_MS
from stepweave.errors import StepweaveError, UnknownStep
from stepweave.steps.model import Step
from stepweave.steps.schedule import Schedule, ScheduleError

__all__ = ["AlreadyRunning", "CronService", "NotServing"]

# A timer counts the machine's time awake, a schedule the time of day. So that a sleeping laptop
# or a corrected clock is noticed, no timer runs for longer.
_LONGEST_WAIT_S = 30.0


class AlreadyRunning(StepweaveError):
    """The cron step runs, and its config does not allow a second run beside it."""

    code = "busy"


class NotServing(StepweaveError):
    """Nothing runs cron steps here, or it is about to stop."""

    code = "shutting_down"


class CronService:
    """Starts cron steps at their times, from one heap and one timer.

    Each tick is recorded before it runs and when it has ended. One that had begun and not ended
    when Stepweave went down is run again at the start; times that passed meanwhile are made up
    as `catchUp` says. Times that pass while the machine sleeps are made up each under "all",
    else by one late run. A step that still runs is not started beside itself unless it allows
    that. `notice` gets what was skipped, late or went wrong.
    """

    def __init__(
        self,
        store: Store,
        invoker: Invoker,
        *,
        notice: Notice = lambda level, message, call: None,
        timezone: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`timezone` is that of steps that name none; None is the server's."""
        self._notice = notice
        self._timezone = timezone
        self._clock: Clock = clock or SystemClock()
        self._ledger = Ledger(store, lambda text: notice("error", text, None))
        runs = Runs(invoker, self._clock, notice)
        self._ticks = Ticks(self._ledger, runs, self._clock, notice)
        self._states: dict[str, CronState] = {}
        self._jobs: dict[str, Job] = {}
        self._gone: dict[str, Job] = {}
        self._heap: list[tuple[int, str]] = []
        self._timer: Timer | None = None
        self._latest = 0
        """The latest time of day that the clock has shown."""

    # --- life

    def start(self, steps: Iterable[Step]) -> None:
        """Begin with these steps; call it on the running loop, once."""
        self._ticks.going = True
        self.look(steps)

    def look(self, steps: Iterable[Step]) -> None:
        """Know these steps, and what is recorded of them, without running any."""
        self._states = self._ledger.states()
        self.reschedule(steps)

    def reschedule(self, steps: Iterable[Step]) -> None:
        """Make these the cron steps. One whose expression stays keeps its next time and counts."""
        jobs = {}
        for step in steps:
            job = self._job(step)
            if job is not None:
                jobs[step.name] = job
        for name in self._jobs.keys() - jobs.keys():
            self._gone[name] = self._jobs[name]
            self._gone[name].is_listed = False
        self._jobs = jobs
        self._heap = [(job.due, name) for name, job in jobs.items()]
        heapq.heapify(self._heap)
        self._arm()
        for job in jobs.values():
            self._ticks.make_up(job)

    def stop(self) -> None:
        """Start nothing any more. What runs goes on: it ends with its runner."""
        self._ticks.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- by hand

    def run_now(self, name: str) -> tuple[str, asyncio.Future[Ended]]:
        """Run a step out of turn, also a paused one; its next time stays.

        Returns the id of its trace, and how it ended. That run is not recorded, so it is not
        run again after a crash. Raises UnknownStep, NotServing or AlreadyRunning.
        """
        job = self._known(name)
        if not self._ticks.going:
            raise NotServing(f"{name} cannot run now: Stepweave starts or stops")
        if not job.may_run:
            raise AlreadyRunning(
                f"{name} is running; wait for its end, or set overlap: true in its config"
            )
        return self._ticks.run_now(job)

    async def pause(self, name: str) -> None:
        """Let a step's times pass without a run until `resume`, restarts included.

        What runs goes on; what was still to be made up is not. Returns once the pause survives
        a power cut. Raises UnknownStep, StoreFailed.
        """
        job = self._known(name)
        await self._ledger.pause(name, True)
        job.paused = True
        job.missed.clear()

    async def resume(self, name: str) -> None:
        """Run a step again at its times; those of the pause are not made up.

        Returns once that survives a power cut. Raises UnknownStep, StoreFailed.
        """
        job = self._known(name)
        now = self._clock.now()
        is_marked = job.paused and job.catches_up
        is_busy = job.running > 0 or bool(job.interrupted)
        more = passing(name, now) if is_marked and not is_busy else ()
        await self._ledger.pause(name, False, more)
        if is_marked and is_busy:
            job.passed = now
        job.paused = False
        self._ticks.make_up(job)

    # --- looking

    def next_runs(self, count: int, name: str | None = None) -> list[tuple[int, str]]:
        """The next (Unix ms, step name) of one step, or of all together, soonest first.

        Raises UnknownStep.
        """
        jobs = self._jobs.values() if name is None else [self._known(name)]
        found = [
            (at, job.step.name)
            for job in jobs
            for at in (job.due, *job.schedule.upcoming(job.due, count - 1))
        ]
        return sorted(found)[:count]

    def upcoming(self, count: int, name: str) -> list[tuple[int, str]]:
        """The next times of a step: Unix ms, and ISO text in its zone. Raises UnknownStep."""
        shown = self._known(name).shown
        return [(at, shown(at)) for at, _name in self.next_runs(count, name)]

    def statistics(self) -> list[dict[str, Any]]:
        """Each cron step with its next time, its last run and its counts; times in Unix ms."""
        return [job.statistics() for _name, job in sorted(self._jobs.items())]

    # --- parts

    def _known(self, name: str) -> Job:
        try:
            return self._jobs[name]
        except KeyError:
            known = ", ".join(sorted(self._jobs)) or "none"
            raise UnknownStep(f'there is no cron step "{name}"; there are: {known}') from None

    def _job(self, step: Step) -> Job | None:
        """The step's job, which is the one it had; None if its expression gives no times."""
        job = self._jobs.get(step.name) or self._gone.pop(step.name, None)
        if job is not None and job.is_listed and job.key == (step.cron, step.timezone):
            job.step = step
            return job
        now = self._clock.now()
        try:
            schedule = Schedule(step.cron or "", step.timezone or self._timezone)
            due = schedule.after(now if job is None else max(now, job.newest or 0))
        except ScheduleError as error:
            self._notice("error", f"{step.relpath}: {step.name} has no times: {error}", None)
            return None
        if job is None:
            return self._new(Job(step, schedule, due), now)
        job.step, job.schedule, job.due, job.is_listed = step, schedule, due, True
        return job

    def _new(self, job: Job, now: int) -> Job:
        """Take up a step where the last run of Stepweave left it."""
        name = job.step.name
        state = self._states.pop(name, None)
        if state is not None:
            job.take_over(state)
            self._set_right(job, now)
        if job.newest is None and job.catches_up and self._ticks.going:
            # It is seen for the first time; from now on it can miss something.
            self._ledger.end(name, passing(name, now))
        take_up(job, now, self._notice)
        return job

    def _arm(self) -> None:
        """Set the one timer for the soonest time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ticks.going and self._heap:
            wait_s = max(0.0, (self._heap[0][0] - self._clock.now()) / 1000)
            self._timer = self._clock.call_later(min(wait_s, _LONGEST_WAIT_S), self._wake)

    def _wake(self) -> None:
        """Start what is due, and put each back with its next time."""
        self._timer = None
        now = self._clock.now()
        if now < self._latest - WRONG_CLOCK_MS:
            self._start_over(now)
        self._latest = max(now, self._latest)
        while self._heap and self._heap[0][0] <= now:
            at, name = self._heap[0]
            job = self._jobs[name]
            job.due = job.schedule.after(max(at, now))
            heapq.heapreplace(self._heap, (job.due, name))
            if not job.paused:
                self._ticks.fall_due(job, at, now)
        self._arm()

    def _start_over(self, now: int) -> None:
        """The clock was far ahead for a while: each step's next time is by the right one."""
        self._latest = now
        for job in self._jobs.values():
            self._set_right(job, now)
            job.due = job.schedule.after(max(now, job.newest or 0))
        self._heap = [(job.due, name) for name, job in self._jobs.items()]
        heapq.heapify(self._heap)

    def _set_right(self, job: Job, now: int) -> None:
        if set_right(job, now, self._notice) and self._ticks.going:
            self._ledger.end(job.step.name, passing(job.step.name, now))
