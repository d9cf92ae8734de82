"""Runs deliveries whose turn it is, and records how each ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from stepweave import payload
from stepweave.calls import Call, Outcome, now_ms
from stepweave.engine import ids
from stepweave.engine.delivery import batches, refusals, retries
from stepweave.engine.delivery.cancelled import Cancelled
from stepweave.engine.delivery.event import UNKNOWN, Delivery, Event
from stepweave.engine.delivery.retries import Verdict
from stepweave.engine.delivery.subscription import Subscription
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.contract import Store
from stepweave.engine.store.operations import Bury, Operation, Retry, Settle
from stepweave.errors import InvalidInput, StepweaveError
from stepweave.steps.model import Step
from stepweave.trace import Span

__all__ = ["Notice", "Runs"]

INVALID = "invalid input"
"""Why an event whose data does not fit is a dead letter."""

Notice = Callable[[str, str, Call | None], None]
"""(level, message, the call it is about) for the log."""

_REFUSED_S = 1.0
"""After which the end of a delivery that the store refused is written again."""


class Runs:
    """Invokes the handler of a delivery and settles, retries or buries it.

    `delay` takes a delivery until it is due; `ended` is called for each one that is settled or
    buried.
    """

    def __init__(
        self,
        store: Store,
        invoker: Invoker,
        notice: Notice,
        *,
        strict_input: bool,
        delay: Callable[[Delivery], None],
        ended: Callable[[Delivery], None],
        cancelled: Cancelled,
    ) -> None:
        self._store = store
        self._invoker = invoker
        self._notice = notice
        self._strict_input = strict_input
        self._parse = True if strict_input else "warn"
        """What runners are told of data that a schema object refuses (SPEC 9.5)."""
        self._delay = delay
        self._ended = ended
        self._cancelled = cancelled
        self._stopped = False
        self.unrecorded: set[tuple[int, str]] = set()
        """(event, step) of deliveries that are over, which the store has refused to note."""
        self.delivered = 0
        self.retried = 0
        self.buried = 0

    def run(self, subscription: Subscription, delivery: Delivery) -> None:
        """Run a delivery whose event is loaded."""
        step, event = subscription.step, delivery.event
        span = self._span(step, delivery)
        problem = self._input_problem(step, event) if step.input is not None else None
        if problem is not None and self._strict_input:
            error = {"code": "invalid_payload", "message": problem}
            self._bury(subscription, delivery, Outcome("error", None, error), INVALID)
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
            self._done(subscription, delivery, call, outcome)
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
        first = deliveries[0]

        def done(call: Call, outcome: Outcome) -> None:
            self._batch_done(subscription, deliveries, call, outcome)
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
        self._invoker.invoke(
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

    def again(self, subscription: Subscription, delivery: Delivery, pause_ms: int) -> None:
        """Deliver once more, for a reason that is not the event's own and does not count."""
        delivery.due_at = now_ms() + pause_ms
        subscription.over(delivery, keep=True)
        self._delay(delivery)

    def settle(self, subscription: Subscription, delivery: Delivery) -> None:
        """A delivery is done."""
        last = self._last(delivery.event)
        self._end(subscription, delivery, Settle(delivery.event.id, subscription.name, last))

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

    def _batch_done(
        self,
        subscription: Subscription,
        deliveries: list[Delivery],
        call: Call,
        outcome: Outcome,
    ) -> None:
        named: set[int] = set()
        if outcome.status == "ok":
            try:
                named = batches.failed(outcome.result, len(deliveries))
            except InvalidInput as error:
                outcome = Outcome("error", None, error.to_wire())
        elif refusals.is_refusal(outcome):
            self._batch_refused(subscription, deliveries, call, outcome)
            return
        message = "the handler named it among those of its batch that failed"
        refused = Outcome("error", None, {"code": "handler_failed", "message": message})
        for position, delivery in enumerate(deliveries):
            each = refused if position in named else outcome
            self._done(subscription, delivery, call, each)

    def _batch_refused(
        self,
        subscription: Subscription,
        deliveries: list[Delivery],
        call: Call,
        outcome: Outcome,
    ) -> None:
        """Bury those that do not fit; the handler has not run, so the others lose no try."""
        apart = refusals.by_position(outcome, len(deliveries))
        for position, delivery in enumerate(deliveries):
            if position in apart:
                self._done(subscription, delivery, call, apart[position])
            else:
                self.again(subscription, delivery, 0)

    def _done(
        self, subscription: Subscription, delivery: Delivery, call: Call, outcome: Outcome
    ) -> None:
        if outcome.status == "ok":
            self.delivered += 1
            if call.transaction is None:
                self.settle(subscription, delivery)
            else:
                # Its settlement was committed together with what the handler did.
                self._over(subscription, delivery)
            return
        if refusals.is_refusal(outcome):
            listed = refusals.text(outcome)
            name = subscription.step.name
            message = f"{delivery.event.topic} does not match the input of {name}: {listed}"
            error = {**(outcome.error or {}), "message": message}
            self._bury(subscription, delivery, Outcome("error", None, error), INVALID)
            return
        queue = subscription.step.infrastructure.queue
        next = retries.verdict(delivery, queue, outcome)
        if outcome.status == "lost" and next is not Verdict.KEEP:
            delivery.deaths += 1
        if next is Verdict.KEEP:
            subscription.over(delivery, keep=True)
        elif next is Verdict.AGAIN:
            self.again(subscription, delivery, retries.later_ms(outcome))
        elif next is Verdict.RETRY:
            self._retry(subscription, delivery, call, outcome)
        else:
            message = (outcome.error or {}).get("message", "")
            self._notice("error", self._last_words(subscription, delivery, message), call)
            self._bury(subscription, delivery, outcome, outcome.status)

    def _retry(
        self, subscription: Subscription, delivery: Delivery, call: Call, outcome: Outcome
    ) -> None:
        """Try again later; the store knows before the delivery is queued again."""
        queue = subscription.step.infrastructure.queue
        pause = retries.pause_ms(delivery, queue, outcome)
        error = _error_bytes(delivery, outcome)
        delivery.attempt += 1
        delivery.due_at = now_ms() + pause
        self.retried += 1
        message = (outcome.error or {}).get("message", "")
        self._notice(
            "warn",
            f"{delivery.event.topic}: {subscription.name} failed ({message}); "
            f"try {delivery.attempt} of {queue.max_retries + 1} in {pause / 1000:.3g} s",
            call,
        )
        op = Retry(delivery.event.id, subscription.name, delivery.attempt, delivery.due_at, error)
        self.record(op, lambda: self._delay(delivery))
        subscription.over(delivery, keep=True)

    def _last_words(self, subscription: Subscription, delivery: Delivery, message: str) -> str:
        group = delivery.event.group
        text = (
            f"{delivery.event.topic}: {subscription.name} failed {delivery.attempt} times and is "
            f"now a dead letter ({message})"
        )
        if subscription.holds and group is not None:
            text += f"; its group {group} waits until that is retried or discarded"
        return text

    def _bury(
        self, subscription: Subscription, delivery: Delivery, outcome: Outcome, reason: str
    ) -> None:
        event = delivery.event
        holds = subscription.holds and event.group is not None
        self.buried += 1
        op = Bury(
            event.id,
            subscription.name,
            delivery.attempt,
            reason,
            _error_bytes(delivery, outcome),
            now_ms(),
            self._last(event),
            holds,
        )
        if event.pending > 0:
            # Whoever settles last must not take away what the store may refuse to bury.
            event.pending = UNKNOWN
        if holds and event.group is not None:
            subscription.held[event.group] = subscription.held.get(event.group, 0) + 1
        self._end(subscription, delivery, op)

    def _last(self, event: Event) -> bool | None:
        """Whether an event has no delivery left but the one that is over now, None if only the
        store can tell."""
        if self._cancelled and self._cancelled.concerns(event.id):
            event.pending = UNKNOWN
        return event.settle()

    def _end(self, subscription: Subscription, delivery: Delivery, op: Settle | Bury) -> None:
        """A delivery is over for good. The next of its group begins once that is recorded: after
        a crash it would otherwise have begun before this one ran again."""
        if delivery.event.group is None or not subscription.fifo:
            self._record_end(op, None)
            self._over(subscription, delivery)
        else:
            self._record_end(op, lambda: subscription.over(delivery))
            self._over(subscription, delivery, keep=True)

    def _over(self, subscription: Subscription, delivery: Delivery, *, keep: bool = False) -> None:
        self._ended(delivery)
        subscription.over(delivery, keep=keep)

    def record(self, op: Operation, then: Callable[[], None]) -> None:
        """Write something about a delivery and go on, even if the store refuses it."""

        def done(error: StepweaveError | None, _results: Any) -> None:
            if error is not None:
                self._refused(error)
            then()

        self._store.submit((op,), done)

    def _record_end(self, op: Settle | Bury, then: Callable[[], None] | None) -> None:
        """Write the end of a delivery, again and again while the store refuses; a delivery whose
        end is not written when the program ends is run once more."""
        key = (op.event, op.subscription)

        def done(error: StepweaveError | None, _results: Any) -> None:
            if error is None:
                self.unrecorded.discard(key)
                if then is not None:
                    then()
                return
            if key not in self.unrecorded:
                self.unrecorded.add(key)
                self._refused(error)
            asyncio.get_running_loop().call_later(_REFUSED_S, again)

        def again() -> None:
            if not self._stopped:
                self._store.submit((op._replace(last=None),), done)

        self._store.submit((op,), done)

    def _refused(self, error: StepweaveError) -> None:
        self._notice("error", f"what became of a delivery was not recorded: {error}", None)

    def stop(self) -> None:
        """Write nothing again; the next start finds it."""
        self._stopped = True


def _closing(delivery: Delivery) -> Settle:
    """The settlement that is committed with a handler's writes. It may be refused, so that only
    the store can tell from now on which delivery of the event is the last."""
    delivery.event.pending = UNKNOWN
    return Settle(delivery.event.id, delivery.subscription, None)


def _error_bytes(delivery: Delivery, outcome: Outcome) -> bytes:
    error = {
        "attempt": delivery.attempt,
        "status": outcome.status,
        "at": now_ms(),
        **(outcome.error or {}),
    }
    return orjson.dumps(error, default=str)
