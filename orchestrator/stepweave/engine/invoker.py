"""Runs a handler once: opens its span and deadline, hands it to a runner, closes the span."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from stepweave import payload
from stepweave.calls import Call, CallKind, Outcome
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

    def __init__(self, runners: Runners, spans: SpanSink) -> None:
        self._runners = runners
        self._spans = spans

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
    ) -> Call:
        """Start a run; `done(call, outcome)` is called exactly once, perhaps before this returns.

        The time limit is the step's own unless `timeout_s` is given. The span is recorded
        after `done`, which may still add to it.
        """
        limit = step.infrastructure.handler.timeout_s if timeout_s is None else timeout_s

        def ended(outcome: Outcome) -> None:
            span.finish(outcome.status, error=outcome.error, output=_output(kind, outcome))
            done(call, outcome)
            self._spans.add_span(span)

        call = Call(step, kind, input, span, ended, attempt, time.monotonic() + limit, suspect)
        self._spans.open_span(span)
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
