"""Delivers recorded events: queues them per step, runs them, and records how each ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from stepweave import payload
from stepweave.calls import Call, Outcome, now_ms
from stepweave.engine import ids, retries
from stepweave.engine.bodies import Bodies
from stepweave.engine.delays import Delays
from stepweave.engine.invoker import Invoker
from stepweave.engine.retries import Verdict
from stepweave.engine.store.contract import Store, StoredEvent
from stepweave.engine.store.operations import Bury, Operation, Retry, Settle
from stepweave.engine.subscription import Delivery, Event, Subscription
from stepweave.errors import InvalidInput, StepweaveError
from stepweave.steps.model import Step
from stepweave.trace import Span

__all__ = ["Dispatcher", "Notice"]

Notice = Callable[[str, str, Call | None], None]
"""(level, message, the call it is about) for the log."""

_UNREADABLE_PAUSE_MS = 1000


class Dispatcher:
    """Brings each delivery to its step until it is settled or buried.

    A delivery leaves the store when its handler returned, or moves to the dead letters when its
    tries are used up. Deliveries of a step that is not loaded are parked until it returns.
    """

    def __init__(
        self,
        store: Store,
        invoker: Invoker,
        notice: Notice,
        *,
        concurrency: int,
        strict_input: bool,
    ) -> None:
        self._store = store
        self._invoker = invoker
        self._notice = notice
        self._concurrency = concurrency
        self._strict_input = strict_input
        self._subscriptions: dict[str, Subscription] = {}
        self._parked: dict[str, list[Delivery]] = {}
        self._delays = Delays(self._release)
        self._bodies = Bodies()
        self.unsettled = 0
        """Deliveries that are neither settled nor buried, parked ones included."""
        self.delivered = 0
        self.retried = 0
        self.buried = 0

    def subscribe(self, steps: Iterable[Step]) -> dict[str, tuple[Subscription, ...]]:
        """Make these the subscribing steps; returns the subscriptions by topic.

        Deliveries of steps that left wait for their return.
        """
        wanted = {step.name: step for step in steps}
        for name in [name for name in self._subscriptions if name not in wanted]:
            self._parked.setdefault(name, []).extend(self._subscriptions.pop(name).leave())
        topics: dict[str, list[Subscription]] = {}
        for name, step in wanted.items():
            subscription = self._subscriptions.get(name)
            if subscription is None:
                subscription = Subscription(step, self._concurrency, self._begin)
                self._subscriptions[name] = subscription
            else:
                subscription.change(step, self._concurrency)
            for topic in dict.fromkeys(step.subscribes):
                topics.setdefault(topic, []).append(subscription)
            for delivery in self._parked.pop(name, ()):
                self._schedule(delivery)
        return {topic: tuple(group) for topic, group in topics.items()}

    def recover(self) -> int:
        """Take up every delivery that was not settled when the last run ended; returns how many."""
        events: dict[int, Event] = {}
        count = 0
        for row in self._store.waiting():
            event = events.get(row.event)
            if event is None:
                event = events[row.event] = Event.unread(row.event, row.group)
            event.pending += 1
            count += 1
            self.unsettled += 1
            self._schedule(Delivery(event, row.subscription, row.attempt, row.due_at))
        for name, parked in self._parked.items():
            self._notice(
                "warn",
                f"{len(parked)} events wait for the step {name}, which is not loaded; they are "
                "delivered when it returns",
                None,
            )
        return count

    def accept(self, event: Event, deliveries: Iterable[Delivery]) -> None:
        """Take the deliveries of an event that is recorded."""
        self._bodies.hold(event)
        for delivery in deliveries:
            self.unsettled += 1
            self._schedule(delivery)

    @property
    def idle(self) -> bool:
        """Whether nothing runs or is ready to run; delayed and parked deliveries do not count."""
        return not any(subscription.busy for subscription in self._subscriptions.values())

    def stop(self) -> None:
        """Start no further delivery; what is not settled is delivered after the next start."""
        self._delays.stop()
        for subscription in self._subscriptions.values():
            subscription.paused = True

    def statistics(self) -> dict[str, Any]:
        """Totals since start, and per subscription what runs, waits and is delayed."""
        delayed = self._delays.counts()
        return {
            "delivered": self.delivered,
            "retried": self.retried,
            "buried": self.buried,
            "subscriptions": {
                name: {"running": s.running, "waiting": s.queued, "delayed": delayed.get(name, 0)}
                for name, s in self._subscriptions.items()
            },
            "parked": {name: len(group) for name, group in self._parked.items()},
        }

    def _schedule(self, delivery: Delivery) -> None:
        """Put a delivery into its queue, or hold it until it is due."""
        subscription = self._subscriptions.get(delivery.subscription)
        if subscription is None:
            self._parked.setdefault(delivery.subscription, []).append(delivery)
        elif delivery.due_at > now_ms():
            if subscription.hold(delivery):
                self._delays.add(delivery)
        else:
            subscription.add(delivery)

    def _release(self, delivery: Delivery) -> None:
        """Queue a delivery that was held back, now that it is due."""
        subscription = self._subscriptions.get(delivery.subscription)
        if subscription is None:
            self._parked.setdefault(delivery.subscription, []).append(delivery)
        else:
            subscription.release(delivery)

    def _begin(self, subscription: Subscription, delivery: Delivery) -> None:
        """Run a delivery whose turn it is; called by its subscription."""
        event = delivery.event
        if event.loaded:
            self._run(subscription, delivery)
            return

        def read(error: StepweaveError | None, stored: StoredEvent | None) -> None:
            if error is not None:
                self._notice("error", f"an event cannot be read, it is tried again: {error}", None)
                self._again(subscription, delivery, _UNREADABLE_PAUSE_MS)
            elif stored is None:
                self._settle(subscription, delivery)
            else:
                event.fill(stored)
                self._bodies.hold(event)
                self._run(subscription, delivery)

        self._store.event(event.id, read)

    def _run(self, subscription: Subscription, delivery: Delivery) -> None:
        step = subscription.step
        event = delivery.event
        shown = ids.show(event.id)
        trace = event.trace
        span = Span(
            trace[3:35],  # a traceparent of our own making: 00-<trace>-<span>-01
            step.name,
            "event",
            step.language,
            parent_id=trace[36:52],
            attempt=delivery.attempt,
            queued_at=max(event.at, delivery.due_at if delivery.attempt > 1 else 0) * 1000,
            input=event.data,
            topic=event.topic,
            event_id=shown,
        )
        problem = self._input_problem(step, event) if step.input is not None else None
        if problem is not None and self._strict_input:
            error = {"code": "invalid_payload", "message": problem}
            self._bury(subscription, delivery, Outcome("error", None, error), "invalid input")
            return

        def done(call: Call, outcome: Outcome) -> None:
            self._done(subscription, delivery, call, outcome)

        call = self._invoker.invoke(
            step,
            "event",
            {"topic": event.topic, "data": event.data, "event": shown},
            span,
            done,
            attempt=delivery.attempt,
            suspect=retries.suspicion(delivery, step.infrastructure.queue),
        )
        if problem is not None and delivery.attempt == 1:
            self._notice("warn", problem, call)

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

    def _done(
        self, subscription: Subscription, delivery: Delivery, call: Call, outcome: Outcome
    ) -> None:
        if outcome.status == "ok":
            self.delivered += 1
            self._settle(subscription, delivery)
            return
        queue = subscription.step.infrastructure.queue
        next = retries.verdict(delivery, queue, outcome)
        if outcome.status == "lost" and next is not Verdict.KEEP:
            delivery.deaths += 1
        if next is Verdict.KEEP:
            subscription.finish(delivery, keep=True)
        elif next is Verdict.AGAIN:
            code = (outcome.error or {}).get("code", "")
            self._again(subscription, delivery, retries.LATER_MS[code])
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
        op = Retry(
            delivery.event.id,
            subscription.name,
            delivery.attempt,
            delivery.due_at,
            _error_bytes(outcome),
        )
        self._record(op, lambda: self._delays.add(delivery))
        subscription.retry(delivery)

    def _last_words(self, subscription: Subscription, delivery: Delivery, message: str) -> str:
        return (
            f"{delivery.event.topic}: {subscription.name} failed {delivery.attempt} times and is "
            f"now a dead letter ({message})"
        )

    def _again(self, subscription: Subscription, delivery: Delivery, pause_ms: int) -> None:
        """Deliver once more, for a reason that is not the event's own and does not count."""
        delivery.due_at = now_ms() + pause_ms
        subscription.retry(delivery)
        self._delays.add(delivery)

    def _settle(self, subscription: Subscription, delivery: Delivery) -> None:
        event = delivery.event
        event.pending -= 1
        self.unsettled -= 1
        self._record(Settle(event.id, subscription.name, event.pending == 0), None)
        self._bodies.forget(event)
        subscription.finish(delivery)

    def _bury(
        self, subscription: Subscription, delivery: Delivery, outcome: Outcome, reason: str
    ) -> None:
        event = delivery.event
        event.pending -= 1
        self.unsettled -= 1
        self.buried += 1
        op = Bury(
            event.id,
            subscription.name,
            delivery.attempt,
            reason,
            _error_bytes(outcome),
            now_ms(),
            event.pending == 0,
        )
        self._record(op, None)
        self._bodies.forget(event)
        subscription.finish(delivery)

    def _record(self, op: Operation, then: Callable[[], None] | None) -> None:
        """Write what became of a delivery; a store that refuses leaves it for the next start."""

        def done(error: StepweaveError | None, _results: Any) -> None:
            if error is not None:
                self._notice("error", f"a delivery's end was not recorded: {error}", None)
            if then is not None:
                then()

        self._store.submit((op,), done)


def _error_bytes(outcome: Outcome) -> bytes:
    error = {"status": outcome.status, "at": now_ms(), **(outcome.error or {})}
    return orjson.dumps(error, default=str)
