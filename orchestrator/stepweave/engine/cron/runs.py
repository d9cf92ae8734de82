"""A tick's run: tried again when its runner died, until it has ended or Stepweave stops."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stepweave.calls import Call, Outcome
from stepweave.engine.cron.clock import Clock, Timer
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.operations import Operation
from stepweave.engine.transaction import CONTENDED
from stepweave.errors import ShuttingDown
from stepweave.steps.model import Step
from stepweave.trace import Span, new_trace_id

__all__ = ["Ended", "Notice", "Run", "Runs"]

Notice = Callable[[str, str, Call | None], None]
"""(level, message, the call it is about) for the log."""

_LOST_MS = 50
# Outcomes that are not the step's own doing, and how long to wait after them.
_LATER_MS = {"unknown_step": 50, "stale_revision": 50, "busy": 1000, CONTENDED: 25}


class Ended(NamedTuple):
    """How a run ended for good. `done` is False if Stepweave stopped before it had ended.

    `recorded`: its end was committed together with what its handler wrote.
    """

    outcome: Outcome
    call: Call | None
    done: bool
    recorded: bool

    @property
    def duration_ms(self) -> float:
        """How long the last try took."""
        span = self.call.span if self.call is not None else None
        return 0.0 if span is None else round((span.ended_at - span.started_at) / 1000, 1)


@dataclass(slots=True, eq=False)
class Run:
    """A run for a time (Unix ms). `closing` are the operations that record its end."""

    at: int
    step: Callable[[], Step | None]
    ended: Callable[[Ended], None]
    closing: Sequence[Operation] = ()
    attempt: int = 1
    deaths: int = 0
    trace_id: str = field(default_factory=new_trace_id)
    last: tuple[Call, Outcome] | None = None


class Runs:
    """Runs steps. What its runner took along, or what found no runner, is tried again soon.

    A run whose step left meanwhile, or that is to be tried again when Stepweave stops, ends as
    not done.
    """

    def __init__(self, invoker: Invoker, clock: Clock, notice: Notice) -> None:
        self._invoker = invoker
        self._clock = clock
        self._notice = notice
        self._waiting: dict[Run, Timer] = {}
        self._stopped = False

    def start(self, run: Run) -> str:
        """Run it; `run.ended` is called once. Returns the id of its trace."""
        step = run.step()
        if step is None:
            self._leave(run)
            return run.trace_id
        span = Span(run.trace_id, step.name, "cron", step.language, attempt=run.attempt)

        def done(call: Call, outcome: Outcome) -> None:
            self._done(run, step, call, outcome)

        self._invoker.invoke(
            step,
            "cron",
            {"scheduled": run.at},
            span,
            done,
            attempt=run.attempt,
            suspect=_suspicion(run, step),
            closing=lambda _outcome: run.closing,
        )
        return run.trace_id

    def stop(self) -> None:
        """Try nothing again any more; what waited for that ends as not done."""
        self._stopped = True
        waiting, self._waiting = self._waiting, {}
        for run, timer in waiting.items():
            timer.cancel()
            self._leave(run)

    def _done(self, run: Run, step: Step, call: Call, outcome: Outcome) -> None:
        run.last = call, outcome
        code = (outcome.error or {}).get("code", "")
        if code == "shutting_down":
            self._leave(run)
        elif code in _LATER_MS:
            pause = _LATER_MS[code]
            # Those that got in each other's way come back at different times.
            self._later(run, random.randint(1, pause) if code == CONTENDED else pause)
        elif outcome.status == "lost" and _may_go_on(run, step):
            most = max(step.infrastructure.queue.max_retries + 1, run.attempt + 1)
            run.deaths += 1
            run.attempt += 1
            self._notice(
                "warn",
                f"{step.name} lost its runner ({(outcome.error or {}).get('message', '')}); "
                f"try {run.attempt} of {most} follows",
                call,
            )
            self._later(run, _LOST_MS * 2 ** min(run.deaths - 1, 10))
        else:
            # Only what an atomic step writes is committed with its end.
            is_recorded = step.atomic and outcome.status == "ok"
            run.ended(Ended(outcome, call, done=True, recorded=is_recorded))

    def _later(self, run: Run, pause_ms: int) -> None:
        if self._stopped:
            self._leave(run)
            return

        def again() -> None:
            del self._waiting[run]
            self.start(run)

        self._waiting[run] = self._clock.call_later(pause_ms / 1000, again)

    def _leave(self, run: Run) -> None:
        stopping = Outcome("lost", None, ShuttingDown("Stepweave is stopping").to_wire())
        call, outcome = run.last or (None, stopping)
        run.ended(Ended(outcome, call, done=False, recorded=False))


def _may_go_on(run: Run, step: Step) -> bool:
    """Whether a run that lost its runner has a try left.

    The first death may not have been its fault, so it always has one more after that.
    """
    return run.attempt <= step.infrastructure.queue.max_retries or run.deaths < 1


def _suspicion(run: Run, step: Step) -> int:
    """How far apart a try runs, as retries.suspicion has it for events."""
    is_last = run.attempt > step.infrastructure.queue.max_retries
    return max(2, run.deaths) if run.deaths and is_last else run.deaths
