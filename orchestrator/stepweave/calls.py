"""One run of a handler: what the engine asks of a runner and what comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from stepweave.streamed import Streamed
from stepweave.trace import CallKind, OutcomeStatus, Span

__all__ = ["Call", "CallKind", "Outcome", "OutcomeStatus", "StepRef", "now_ms"]


def now_ms() -> int:
    """The wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class StepRef(Protocol):
    """The little that a call needs of a step."""

    @property
    def name(self) -> str: ...
    @property
    def relpath(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def revision(self) -> int: ...


class Outcome(NamedTuple):
    """How a call ended: its result, or the error map of SPEC 8 (`lost`: its runner died)."""

    status: OutcomeStatus
    result: Any = None
    error: dict[str, Any] | None = None


class Call:
    """One invocation, from dispatch to its single outcome.

    `deadline` is a `time.monotonic()` value in seconds or None. `wrote` is the store's
    sequence number of the last durable thing that the handler saw or caused, so that an
    answer can wait until exactly that is on disk. `finish` may be called many times; the
    first one counts and reaches `on_done` once.
    """

    __slots__ = (
        "attempt",
        "cancel_reason",
        "cancelled_at",
        "deadline",
        "done",
        "input",
        "kind",
        "on_done",
        "priority",
        "request_id",
        "runner",
        "span",
        "step",
        "streamed",
        "suspect",
        "taker",
        "traceparent",
        "transaction",
        "wrote",
    )

    def __init__(
        self,
        step: StepRef,
        kind: CallKind,
        input: dict[str, Any],
        span: Span,
        on_done: Callable[[Outcome], None],
        attempt: int = 1,
        deadline: float | None = None,
        suspect: int = 0,
        priority: int = 0,
        transaction: Any = None,
    ) -> None:
        self.step = step
        self.kind = kind
        self.input = input
        self.span = span
        self.traceparent = span.traceparent
        self.on_done: Callable[[Outcome], None] | None = on_done
        self.attempt = attempt
        self.deadline = deadline
        self.done = False
        self.cancelled_at: float | None = None
        self.cancel_reason = ""
        self.runner: Any = None
        self.request_id = 0
        self.wrote = 0
        self.priority = priority
        """Among calls that wait for a runner, a higher one goes first."""
        self.transaction = transaction
        """What an atomic step writes (engine.transaction), None for the others."""
        self.taker: Callable[[Streamed], None] | None = None
        """Takes an answer in parts, and raises InvalidInput for one that cannot begin so; None
        where nobody does."""
        self.streamed: Streamed | None = None
        """The answer in parts, once it has begun."""
        self.suspect = suspect
        """Above 0 its runner died: run it with a few of its like (1), or alone (2 and more)."""

    def remaining_ms(self) -> int | None:
        """Milliseconds until the deadline (at least 1), or None without one."""
        if self.deadline is None:
            return None
        return max(1, int((self.deadline - time.monotonic()) * 1000))

    def finish(self, outcome: Outcome) -> None:
        """Report how the call ended; later reports are ignored."""
        on_done = self.on_done
        if on_done is not None:
            # Whoever waits for a call refers to it: letting go of them here frees all of it now
            # instead of at the next collection, which would have every call to look at.
            self.on_done = self.taker = None
            self.done = True
            on_done(outcome)
