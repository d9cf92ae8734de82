"""A cron step, and what became of it so far."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stepweave.engine.store.contract import CronState
from stepweave.steps.model import Step
from stepweave.steps.schedule import Schedule

__all__ = ["MOST_MISSED", "Job"]

MOST_MISSED = 1000
"""How many missed times are made up at the most, the newest ones."""


@dataclass(slots=True, eq=False)
class Job:
    """Times are Unix ms. `due` is the next one, `newest` the newest that is recorded.

    `interrupted` are times whose runs had begun and not ended; `missed` are those that are still
    to be made up, one after another, and `making_up` the one that is; `passed` is one that went
    by during a run and is recorded with its end, so that it does not count as missed later.
    """

    step: Step
    schedule: Schedule
    due: int
    newest: int | None = None
    interrupted: deque[int] = field(default_factory=deque)
    missed: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_MISSED))
    passed: int | None = None
    making_up: int | None = None
    is_listed: bool = True
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

    @property
    def catches_up(self) -> bool:
        """Whether times that pass while nothing runs matter to it."""
        return self.step.catch_up != "none"

    @property
    def may_run(self) -> bool:
        """Whether a run may begin now."""
        return self.running == 0 or self.step.overlap

    def owe(self, times: list[int]) -> None:
        """Make these up as the config says: all, or the newest alone."""
        if self.step.catch_up != "all":
            self.missed.clear()
        self.missed.extend(times if self.step.catch_up == "all" else times[-1:])

    def take_over(self, state: CronState) -> None:
        """Go on from what an earlier run of Stepweave recorded."""
        self.paused = state.paused
        self.newest = state.at
        self.interrupted.extend(state.begun)
        if state.ran is None:
            return
        self.last = {
            "at": state.ran,
            "status": "interrupted" if state.ran in state.begun else "ended",
            "duration_ms": None,
            "trace_id": None,
            "error": None,
        }

    def shown(self, at: int) -> str:
        """A time as its author thinks of it: in the step's zone."""
        moment = datetime.fromtimestamp(at / 1000, self.schedule.timezone)
        return moment.isoformat(" ", "seconds")

    def statistics(self) -> dict[str, Any]:
        """All of it for people; times in Unix ms."""
        return {
            "step": self.step.name,
            "cron": self.step.cron,
            "timezone": str(self.schedule.timezone),
            "catch_up": self.step.catch_up,
            "next": self.due,
            "paused": self.paused,
            "running": self.running,
            "missed": len(self.missed),
            "runs": self.runs,
            "failed": self.failed,
            "skipped": self.skipped,
            "last": self.last,
        }
