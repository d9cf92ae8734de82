"""Runs a cron step's times by the rules: recorded first, not beside itself, made up if missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from stepweave.engine.cron.clock import Clock
from stepweave.engine.cron.job import MOST_MISSED, Job
from stepweave.engine.cron.ledger import Ledger, passing
from stepweave.engine.cron.runs import Ended, Notice, Run, Runs
from stepweave.engine.store.operations import CronDone, Operation
from stepweave.errors import StepweaveError
from stepweave.steps.model import Step

__all__ = ["Ticks"]


class Ticks:
    """What happens when a time has come, when a run ends, and in between.

    `stop` leaves what runs to its runner; whatever has not ended stays recorded as begun.
    """

    def __init__(self, ledger: Ledger, runs: Runs, clock: Clock, notice: Notice) -> None:
        self._ledger = ledger
        self._runs = runs
        self._clock = clock
        self._notice = notice
        self.going = False

    def stop(self) -> None:
        """Begin nothing any more."""
        self.going = False
        self._runs.stop()

    def fall_due(self, job: Job, first: int, now: int) -> None:
        """A time has come, or several since the machine last looked."""
        times = [first, *job.schedule.between(first, now, MOST_MISSED)][-MOST_MISSED:]
        name = job.step.name
        wants_all = job.step.catch_up == "all"
        if len(times) > 1:
            self._notice(
                "warn",
                f"{name} was due {len(times)} times in the last {(now - first) // 1000} s, while "
                f"the machine slept or was busy; it runs {'for each' if wants_all else 'once'}",
                None,
            )
        if job.missed or (wants_all and (len(times) > 1 or job.making_up is not None)):
            job.owe(times)
            self.make_up(job)
        elif job.may_run:
            self._begin(job, times[-1], self._skip)
        else:
            job.skipped += 1
            job.passed = times[-1]
            self._notice("warn", f"{name} is skipped: its last run has not ended", None)

    def make_up(self, job: Job) -> None:
        """Run again what was interrupted, then what was missed, one after another."""
        if not self.going or job.paused or job.making_up is not None or not job.may_run:
            return
        if job.interrupted:
            at = job.interrupted.popleft()
            text = f"{job.step.name} had not ended its run for {job.shown(at)}; it is run again"
            self._notice("warn", text, None)
            job.making_up = at
            job.running += 1
            self._run(job, at, attempt=2)
        elif job.missed:
            at = job.making_up = job.missed.popleft()
            self._begin(job, at, self._put_back)

    def run_now(self, job: Job) -> tuple[str, asyncio.Future[Ended]]:
        """Run a step out of turn: the id of its trace, and how it ended."""
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        at = self._clock.now()

        def ended(end: Ended) -> None:
            self._ended(job, at, at, end)
            if not future.done():
                future.set_result(end)

        job.running += 1
        return self._runs.start(Run(at, _step_of(job), ended)), future

    def _begin(
        self, job: Job, at: int, unrecorded: Callable[[Job, int, StepweaveError], None]
    ) -> None:
        """Record a tick, then run it."""
        job.running += 1  # at once: another tick must not pass while this one is recorded

        def recorded(error: StepweaveError | None, is_ours: bool) -> None:
            if is_ours:
                job.newest = at
                if self.going:
                    self._run(job, at)
                    return
            self._leave(job, at)
            if error is not None:
                unrecorded(job, at, error)
            else:
                self.make_up(job)

        self._ledger.begin(job.step.name, at, recorded)

    def _skip(self, job: Job, at: int, error: StepweaveError) -> None:
        name = job.step.name
        if job.catches_up:
            job.owe([at])
        self._notice("error", f"{name} is skipped: its time cannot be recorded: {error}", None)

    def _put_back(self, job: Job, at: int, error: StepweaveError) -> None:
        """Make it up at the step's next time, when it can perhaps be recorded."""
        job.missed.appendleft(at)
        text = f"{job.step.name} is not run for {job.shown(at)} yet: that cannot be recorded"
        self._notice("error", f"{text}: {error}", None)

    def _run(self, job: Job, at: int, attempt: int = 1) -> None:
        """Run a tick that is recorded and counted in `running`."""
        began = self._clock.now()
        closing = (CronDone(job.step.name, at),)

        def ended(end: Ended) -> None:
            if not end.done:
                job.interrupted.append(at)
            self._ended(job, at, began, end, closing)

        self._runs.start(Run(at, _step_of(job), ended, closing, attempt))

    def _ended(
        self, job: Job, at: int, began: int, end: Ended, closing: Sequence[Operation] = ()
    ) -> None:
        """Record how a run ended, tell it, and go on with what it kept from running."""
        self._leave(job, at)
        outcome = end.outcome
        error = (outcome.error or {}).get("message", outcome.status)
        failed = outcome.status != "ok"
        job.last = {
            "at": at,
            "status": outcome.status if end.done else "interrupted",
            "duration_ms": self._clock.now() - began,
            "trace_id": end.call.span.trace_id if end.call is not None else None,
            "error": error if failed else None,
        }
        if not end.done:
            return
        job.runs += 1
        job.failed += failed
        if failed:
            self._notice("error", f"{job.step.name} failed: {error}", end.call)
        operations = () if end.recorded else closing
        self._ledger.end(job.step.name, [*operations, *self._passed(job)])
        self.make_up(job)

    def _passed(self, job: Job) -> Sequence[Operation]:
        """What records a time that went by during runs, when the last of them has ended."""
        at = job.passed
        if at is None or job.running or job.interrupted:
            return ()
        job.passed = None
        if not job.catches_up or job.missed:
            return ()
        job.newest = max(at, job.newest or 0)
        return passing(job.step.name, at)

    def _leave(self, job: Job, at: int) -> None:
        job.running -= 1
        if job.making_up == at:
            job.making_up = None


def _step_of(job: Job) -> Callable[[], Step | None]:
    """The step in its newest revision, None while it is not there."""
    return lambda: job.step if job.is_listed else None
