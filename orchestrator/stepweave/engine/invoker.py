"""Runs a handler once: opens its span and deadline, hands it to a runner, closes the span."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from stepweave import payload
from stepweave.calls import Call, CallKind, Outcome
from stepweave.engine.locks import Locks
from stepweave.engine.store.contract import Store
from stepweave.engine.store.operations import Operation
from stepweave.engine.transaction import CONTENDED, Transaction
from stepweave.errors import Conflict, StepweaveError
from stepweave.steps.model import Step
from stepweave.trace import Span

__all__ = ["Invoker", "Runners", "SpanSink"]


class Runners(Protocol):
    """Whoever can run a call; it ends with exactly one outcome."""

    def dispatch(self, call: Call) -> None: ...
    def cancel(self, call: Call, reason: str) -> None: ...


class SpanSink(Protocol):
    """Where spans go when they have ended."""

    def open_span(self, span: Span) -> None: ...
    def add_span(self, span: Span) -> None: ...


class Invoker:
    """The one way to run a step, for HTTP, events and cron alike. Costs no task."""

    def __init__(self, runners: Runners, spans: SpanSink, store: Store) -> None:
        self._runners = runners
        self._spans = spans
        self._store = store
        self._locks = Locks()

    def invoke(
        self,
        step: Step,
        kind: CallKind,
        input: dict[str, Any],
        span: Span,
        done: Callable[[Call, Outcome], None],
        *,
        attempt: int = 1,
        timeout_s: float | None = None,
        suspect: int = 0,
        priority: int = 0,
        closing: Callable[[Outcome], Sequence[Operation]] | None = None,
        also: Sequence[Span] = (),
    ) -> Call:
        """Start a run; `done(call, outcome)` is called exactly once, perhaps before this returns.

        The time limit is the step's own unless `timeout_s` is given. What an atomic step wrote
        is committed together with the operations of `closing` when it succeeds; if that raises a
        StepweaveError, the run has failed with it. Steps that are not atomic do not ask for them.
        Spans of `also` belong to the same run in other traces. Spans are recorded after `done`,
        which may still add to them.
        """
        limit = step.infrastructure.handler.timeout_s if timeout_s is None else timeout_s
        transaction = Transaction(self._store, self._locks) if step.atomic else None

        def ended(outcome: Outcome) -> None:
            if transaction is None:
                finish(outcome)
            elif outcome.status == "ok":
                try:
                    operations = closing(outcome) if closing is not None else ()
                except StepweaveError as error:
                    transaction.discard()
                    finish(Outcome("error", None, error.to_wire()))
                    return
                transaction.commit(operations, lambda error: finish(_committed(outcome, error)))
            else:
                transaction.discard()
                # Time that it spent waiting for others is not its own.
                late = outcome.status == "timeout" and transaction.waited_s * 2 >= limit
                finish(_contended() if transaction.contended or late else outcome)

        def finish(outcome: Outcome) -> None:
            span.finish(outcome.status, error=outcome.error, output=_output(kind, outcome))
            for other in also:
                other.finish(outcome.status, error=outcome.error)
            done(call, outcome)
            self._spans.add_span(span)
            for other in also:
                self._spans.add_span(other)

        deadline = time.monotonic() + limit
        call = Call(
            step, kind, input, span, ended, attempt, deadline, suspect, priority, transaction
        )
        self._spans.open_span(span)
        for other in also:
            self._spans.open_span(other)
        self._runners.dispatch(call)
        return call

    def cancel(self, call: Call, reason: str) -> None:
        """Stop a run; its outcome still comes as usual."""
        self._runners.cancel(call, reason)


def _output(kind: CallKind, outcome: Outcome) -> payload.Payload | None:
    result = outcome.result
    if kind == "api" and isinstance(result, dict):
        result = result.get("body")
    if type(result) is tuple and len(result) == 2 and type(result[1]) is bytes:
        return result
    return None


def _committed(outcome: Outcome, error: StepweaveError | None) -> Outcome:
    """How a run ended whose writes were committed, or not."""
    if error is None:
        return outcome
    if isinstance(error, Conflict):
        return _contended()
    return Outcome("error", None, error.to_wire())


def _contended() -> Outcome:
    message = "another step wrote the same before it was done; it is run again"
    return Outcome("error", None, {"code": CONTENDED, "message": message})
