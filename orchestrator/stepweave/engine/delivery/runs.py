"""Runs the handlers of deliveries whose turn it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepweave import payload
from stepweave.calls import Call, Outcome
from stepweave.engine import ids
from stepweave.engine.delivery import batches, retries
from stepweave.engine.delivery.ends import Ends, Notice
from stepweave.engine.delivery.event import UNKNOWN, Delivery, Event
from stepweave.engine.delivery.subscription import Subscription
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.operations import Operation, Settle
from stepweave.errors import InvalidInput
from stepweave.steps.model import Step
from stepweave.trace import Span

__all__ = ["Runs"]


class Runs:
    """Invokes handlers and hands to `ends` how each run ended."""

    def __init__(self, invoker: Invoker, ends: Ends, notice: Notice, *, strict_input: bool) -> None:
        self._invoker = invoker
        self._ends = ends
        self._notice = notice
        self._strict_input = strict_input
        self._parse = True if strict_input else "warn"
        """What runners are told of data that a schema object refuses (SPEC 9.5)."""

    def run(self, subscription: Subscription, delivery: Delivery) -> None:
        """Run a delivery whose event is loaded."""
        step, event = subscription.step, delivery.event
        span = self._span(step, delivery)
        problem = self._input_problem(step, event) if step.input is not None else None
        if problem is not None and self._strict_input:
            self._ends.invalid(subscription, delivery, problem)
            subscription.free()
            return
        input: dict[str, Any] = {
            "topic": event.topic,
            "data": event.data,
            "event": span.event_id,
        }
        if step.parses and problem is None:
            input["parse"] = self._parse

        def done(call: Call, outcome: Outcome) -> None:
            self._ends.of(subscription, delivery, call, outcome)
            subscription.free()

        call = self._invoker.invoke(
            step,
            "event",
            input,
            span,
            done,
            attempt=delivery.attempt,
            suspect=retries.suspicion(delivery, step.infrastructure.queue),
            closing=(lambda _outcome: (_closing(delivery),)) if step.atomic else None,
            priority=delivery.priority,
        )
        if problem is not None and delivery.attempt == 1:
            self._notice("warn", problem, call)

    def run_batch(self, subscription: Subscription, deliveries: list[Delivery]) -> None:
        """Run deliveries whose events are loaded in one call, each with a span in its trace."""
        step = subscription.step
        problems = self._input_problems(step, deliveries)
        if problems and self._strict_input:
            for delivery, problem in problems:
                self._ends.invalid(subscription, delivery, problem)
            refused = {delivery for delivery, _ in problems}
            deliveries = [each for each in deliveries if each not in refused]
            problems = []
            if not deliveries:
                subscription.free()
                return
        first = deliveries[0]

        def done(call: Call, outcome: Outcome) -> None:
            self._ends.of_batch(subscription, deliveries, call, outcome)
            subscription.free()

        def closing(outcome: Outcome) -> Sequence[Operation]:
            named = batches.failed(outcome.result, len(deliveries))
            return [_closing(d) for position, d in enumerate(deliveries) if position not in named]

        input: dict[str, Any] = {
            "topic": first.event.topic,
            "data": batches.join([each.event.data for each in deliveries]),
            "event": ids.show(first.event.id),
            "events": [
                {
                    "event": ids.show(each.event.id),
                    "topic": each.event.topic,
                    "attempt": each.attempt,
                }
                for each in deliveries
            ],
        }
        if step.parses:
            input["parse"] = self._parse
        call = self._invoker.invoke(
            step,
            "event",
            input,
            self._span(step, first),
            done,
            attempt=max(each.attempt for each in deliveries),
            suspect=retries.suspicion(first, step.infrastructure.queue),
            closing=closing if step.atomic else None,
            also=[self._span(step, each) for each in deliveries[1:]],
        )
        for delivery, problem in problems:
            if delivery.attempt == 1:
                self._notice("warn", problem, call)

    def _span(self, step: Step, delivery: Delivery) -> Span:
        event = delivery.event
        trace = event.trace
        return Span(
            trace[3:35],  # a traceparent of our own making: 00-<trace>-<span>-01
            step.name,
            "event",
            step.language,
            parent_id=trace[36:52],
            attempt=delivery.attempt,
            queued_at=max(event.at, delivery.due_at if delivery.attempt > 1 else 0) * 1000,
            input=event.data,
            topic=event.topic,
            event_id=ids.show(event.id),
        )

    def _input_problems(self, step: Step, deliveries: list[Delivery]) -> list[tuple[Delivery, str]]:
        """The deliveries whose data does not fit, with what is wrong."""
        if step.input is None:
            return []
        found = ((each, self._input_problem(step, each.event)) for each in deliveries)
        return [(each, problem) for each, problem in found if problem is not None]

    def _input_problem(self, step: Step, event: Event) -> str | None:
        assert step.input is not None
        try:
            value = payload.decode(event.data)
        except InvalidInput as error:
            return f"{event.topic}: {error}"
        if step.input.is_valid(value):
            return None
        issues = "; ".join(str(issue) for issue in step.input.issues(value)[:5])
        return f"{event.topic} does not match the input of {step.name}: {issues}"


def _closing(delivery: Delivery) -> Settle:
    """The settlement that is committed with a handler's writes. It may be refused, so that only
    the store can tell from now on which delivery of the event is the last."""
    delivery.event.pending = UNKNOWN
    return Settle(delivery.event.id, delivery.subscription, None)
