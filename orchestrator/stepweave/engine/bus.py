"""The bus: records events, delivers them to every subscribing step, retries, and buries."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from stepweave import payload
from stepweave.calls import Call, Outcome, now_ms
from stepweave.engine import ids
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.contract import (
    Bury,
    Operation,
    PutEvent,
    Redrive,
    Retry,
    Settle,
    Store,
    StoredEvent,
)
from stepweave.engine.subscription import Delivery, Event, Subscription
from stepweave.errors import Busy, InvalidInput, NotDeclared, ShuttingDown, StepweaveError
from stepweave.payload import Payload
from stepweave.steps.model import Step
from stepweave.trace import Span

__all__ = ["Bus", "BusOptions", "Done", "Notice"]

Done = Callable[[StepweaveError | None, Any], None]
Notice = Callable[[str, str, Call | None], None]
"""(level, message, the call it is about) for the log."""

_BODIES_IN_MEMORY = 64 * 1024 * 1024
_UNAVAILABLE_PAUSE_MS = 1000
_RELOAD_PAUSE_MS = 50
_LOST_PAUSE_MS = 50


class BusOptions:
    """Settings of the bus: what the project says about events."""

    __slots__ = ("concurrency", "max_waiting", "strict_emits", "strict_input")

    def __init__(
        self,
        *,
        concurrency: int = 64,
        max_waiting: int = 1_000_000,
        strict_emits: bool = False,
        strict_input: bool = False,
    ) -> None:
        self.concurrency = concurrency
        self.max_waiting = max_waiting
        self.strict_emits = strict_emits
        self.strict_input = strict_input


class Bus:
    """At-least-once delivery from `emit` to each subscribing step.

    An event and its deliveries are committed before anyone is told of them; a delivery leaves
    the store when its handler returned, or moves to the dead letters when its tries are used
    up. After a crash what was not settled is delivered again. Bodies beyond 64 MB of waiting
    events are read back from the store when their turn comes.
    """

    def __init__(self, store: Store, invoker: Invoker, notice: Notice, options: BusOptions) -> None:
        self._loop = asyncio.get_running_loop()
        self._store = store
        self._invoker = invoker
        self._notice = notice
        self._options = options
        self._ids = ids.EventIds()
        self._subscriptions: dict[str, Subscription] = {}
        self._topics: dict[str, tuple[Subscription, ...]] = {}
        self._parked: dict[str, list[Delivery]] = {}
        self._delayed: list[tuple[int, int, Delivery]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0
        self._order = 0
        self._unsettled = 0
        self._bodies = 0
        self._warned: set[tuple[str, str]] = set()
        self._stopping = False
        self.published = 0
        self.delivered = 0
        self.retried = 0
        self.buried = 0

    # --- set-up

    def subscribe(self, steps: Iterable[Step]) -> None:
        """Make these the subscribing steps; deliveries of steps that left wait for their return."""
        wanted = {step.name: step for step in steps}
        for name in [name for name in self._subscriptions if name not in wanted]:
            self._parked.setdefault(name, []).extend(self._subscriptions.pop(name).leave())
        topics: dict[str, list[Subscription]] = {}
        for name, step in wanted.items():
            subscription = self._subscriptions.get(name)
            if subscription is None:
                subscription = Subscription(step, self._options.concurrency, self._begin)
                self._subscriptions[name] = subscription
            else:
                subscription.change(step, self._options.concurrency)
            for topic in dict.fromkeys(step.subscribes):
                topics.setdefault(topic, []).append(subscription)
            for delivery in self._parked.pop(name, ()):
                self._schedule(delivery)
        self._topics = {topic: tuple(group) for topic, group in topics.items()}

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
            self._unsettled += 1
            self._schedule(Delivery(event, row.subscription, row.attempt, row.due_at))
        for name, parked in self._parked.items():
            self._notice(
                "warn",
                f"{len(parked)} events wait for the step {name}, which is not loaded; they are "
                "delivered when it returns",
                None,
            )
        return count

    # --- emitting

    def emit(
        self,
        call: Call,
        topic: str,
        data: Payload | None,
        *,
        event_key: str | None,
        group: str | None,
        due_at: int | None,
        done: Done,
    ) -> None:
        """Publish in the name of a running handler; `done` gets the event's id once it is durable.

        Raises NotDeclared for a topic missing in the step's `emits` when the project is strict;
        otherwise that is a warning, once per step and topic.
        """
        step = call.step
        assert isinstance(step, Step)
        if not topic:
            raise InvalidInput(f"{step.name}: emit needs a topic that is not empty")
        if not step.declares(topic):
            self._undeclared(call, step, topic)
        event = self.publish(
            topic,
            data,
            trace=call.traceparent,
            source=step.name,
            event_key=event_key,
            group=group,
            due_at=due_at,
            done=done,
        )
        call.wrote = self._store.last_sequence
        call.span.add("emit", topic, event, payload.size(data))

    def publish(
        self,
        topic: str,
        data: Payload | None,
        *,
        trace: str,
        source: str,
        done: Done,
        event_key: str | None = None,
        group: str | None = None,
        due_at: int | None = None,
    ) -> str:
        """Record an event and deliver it; returns its id, `done` gets it once it is durable.

        `trace` is the traceparent of the span that emits. A `due_at` (Unix ms) in the future
        holds all deliveries back until then. Raises ShuttingDown while Stepweave stops and Busy
        when too many deliveries wait.
        """
        if self._stopping:
            raise ShuttingDown("Stepweave is stopping and takes no new events")
        if self._unsettled >= self._options.max_waiting:
            raise Busy(
                f"{self._unsettled} deliveries wait, which is the limit; {topic} was not taken. "
                "Emit again later, or raise max_waiting of [events]"
            )
        now = now_ms()
        id = self._ids.next()
        shown = ids.show(id)
        self.published += 1
        subscriptions = self._topics.get(topic, ())
        if not subscriptions and event_key is None:
            self._store.submit((), lambda error, _results: done(error, shown))
            return shown
        event = Event(id, topic, data, trace, now, group, len(subscriptions))
        start = now if due_at is None else max(now, due_at)
        deliveries = [
            Delivery(event, subscription.name, 1, start + subscription.delay_ms)
            for subscription in subscriptions
        ]
        rows = tuple((delivery.subscription, delivery.due_at) for delivery in deliveries)
        op = PutEvent(id, topic, data, trace, source, now, group, event_key, rows)

        def committed(error: StepweaveError | None, results: Any) -> None:
            if error is not None:
                done(error, None)
                return
            if results[0] is not None:
                done(None, ids.show(results[0]))
                return
            self._hold(event)
            self._unsettled += len(deliveries)
            done(None, shown)
            for delivery in deliveries:
                self._schedule(delivery)

        self._store.submit((op,), committed)
        return shown

    def redrive(self, dead: int, done: Done) -> None:
        """Deliver a dead letter anew; `done` gets the new event's id, or None if it is gone."""

        def committed(error: StepweaveError | None, results: Any) -> None:
            put: PutEvent | None = None if error is not None else results[0]
            if put is None:
                done(error, None)
                return
            event = Event(put.id, put.topic, put.data, put.trace, put.at, put.group, 1)
            self._hold(event)
            self._unsettled += 1
            self._schedule(Delivery(event, put.deliveries[0][0], 1, put.at))
            done(None, ids.show(put.id))

        self._store.submit((Redrive(dead, self._ids.next(), now_ms()),), committed)

    # --- state of the bus

    @property
    def idle(self) -> bool:
        """Whether nothing runs or is ready to run; delayed and parked deliveries do not count."""
        return not any(s.busy for s in self._subscriptions.values())

    @property
    def waiting(self) -> int:
        """Deliveries that are not settled, those of absent steps included."""
        return self._unsettled

    def stop(self) -> None:
        """Start no further delivery; what is not settled is delivered after the next start."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        for subscription in self._subscriptions.values():
            subscription.paused = True

    def statistics(self) -> dict[str, Any]:
        """Totals since start, and per subscription what runs, waits and is delayed."""
        delayed: dict[str, int] = {}
        for _, _, delivery in self._delayed:
            delayed[delivery.subscription] = delayed.get(delivery.subscription, 0) + 1
        return {
            "published": self.published,
            "delivered": self.delivered,
            "retried": self.retried,
            "buried": self.buried,
            "subscriptions": {
                name: {"running": s.running, "waiting": s.queued, "delayed": delayed.get(name, 0)}
                for name, s in self._subscriptions.items()
            },
            "parked": {name: len(group) for name, group in self._parked.items()},
        }

    # --- delivering

    def _schedule(self, delivery: Delivery) -> None:
        """Put a delivery into its queue, or hold it until it is due."""
        subscription = self._subscriptions.get(delivery.subscription)
        if subscription is None:
            self._parked.setdefault(delivery.subscription, []).append(delivery)
        elif delivery.due_at > now_ms():
            if subscription.hold(delivery):
                self._delay(delivery)
        else:
            subscription.add(delivery)

    def _delay(self, delivery: Delivery) -> None:
        self._order += 1
        heapq.heappush(self._delayed, (delivery.due_at, self._order, delivery))
        self._set_timer()

    def _set_timer(self) -> None:
        if not self._delayed or self._stopping:
            return
        due = self._delayed[0][0]
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        pause = max(0.001, min((due - now_ms()) / 1000, 60.0))
        self._timer = self._loop.call_later(pause, self._due)

    def _due(self) -> None:
        self._timer = None
        now = now_ms()
        while self._delayed and self._delayed[0][0] <= now:
            delivery = heapq.heappop(self._delayed)[2]
            subscription = self._subscriptions.get(delivery.subscription)
            if subscription is None:
                self._parked.setdefault(delivery.subscription, []).append(delivery)
            else:
                subscription.release(delivery)
        self._set_timer()

    def _begin(self, subscription: Subscription, delivery: Delivery) -> None:
        """Run a delivery whose turn it is; called by its subscription."""
        event = delivery.event
        if event.loaded:
            self._run(subscription, delivery)
            return

        def read(error: StepweaveError | None, stored: StoredEvent | None) -> None:
            if error is not None:
                self._notice("error", f"an event cannot be read, it is tried again: {error}", None)
                self._again(subscription, delivery, _UNAVAILABLE_PAUSE_MS)
            elif stored is None:
                self._settle(subscription, delivery)
            else:
                event.fill(stored)
                self._hold(event)
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
        if problem is not None and self._options.strict_input:
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
            suspect=delivery.deaths,
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
        code = (outcome.error or {}).get("code")
        if code == "shutting_down":
            subscription.finish(delivery, keep=True)
        elif code in ("unknown_step", "stale_revision"):
            self._again(subscription, delivery, _RELOAD_PAUSE_MS)
        elif code == "busy":
            self._again(subscription, delivery, _UNAVAILABLE_PAUSE_MS)
        else:
            self._failed(subscription, delivery, call, outcome)

    def _failed(
        self, subscription: Subscription, delivery: Delivery, call: Call, outcome: Outcome
    ) -> None:
        """Try again later, or give up; the store knows before anything else happens."""
        queue = subscription.step.infrastructure.queue
        lost = outcome.status == "lost"
        message = (outcome.error or {}).get("message", "")
        confirmed = delivery.deaths > 1 or not lost
        if lost:
            delivery.deaths += 1
        if delivery.attempt > queue.max_retries and confirmed:
            self._notice("error", self._last_words(subscription, delivery, message), call)
            self._bury(subscription, delivery, outcome, outcome.status)
            return
        ceiling = int(queue.backoff.ceiling_s(delivery.attempt) * 1000)
        if lost:
            pause = min(_LOST_PAUSE_MS * 2 ** (delivery.attempt - 1), ceiling)
        elif queue.backoff.jitter:
            pause = random.randint(ceiling // 2, ceiling)
        else:
            pause = ceiling
        delivery.attempt += 1
        delivery.due_at = now_ms() + pause
        self.retried += 1
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
        self._record(op, lambda: self._delay(delivery))
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
        self._delay(delivery)

    def _settle(self, subscription: Subscription, delivery: Delivery) -> None:
        event = delivery.event
        event.pending -= 1
        self._unsettled -= 1
        self._record(Settle(event.id, subscription.name, event.pending == 0), None)
        self._forget(event)
        subscription.finish(delivery)

    def _bury(
        self, subscription: Subscription, delivery: Delivery, outcome: Outcome, reason: str
    ) -> None:
        event = delivery.event
        event.pending -= 1
        self._unsettled -= 1
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
        self._forget(event)
        subscription.finish(delivery)

    def _record(self, op: Operation, then: Callable[[], None] | None) -> None:
        """Write what became of a delivery; a store that refuses leaves it for the next start."""

        def done(error: StepweaveError | None, _results: Any) -> None:
            if error is not None:
                self._notice("error", f"a delivery's end was not recorded: {error}", None)
            if then is not None:
                then()

        self._store.submit((op,), done)

    def _hold(self, event: Event) -> None:
        """Keep the body of an event in memory while there is room."""
        self._bodies += event.size
        if self._bodies > _BODIES_IN_MEMORY and event.size > 1024:
            self._bodies -= event.size
            event.drop()

    def _forget(self, event: Event) -> None:
        if event.pending == 0 and event.loaded:
            self._bodies -= event.size

    def _undeclared(self, call: Call, step: Step, topic: str) -> None:
        message = (
            f'{step.relpath}: emits "{topic}", but config lists only '
            f"{', '.join(sorted(step.topics))}; add it to emits"
        )
        if self._options.strict_emits:
            raise NotDeclared(message)
        if (step.name, topic) not in self._warned:
            self._warned.add((step.name, topic))
            self._notice("warn", message, call)


def _error_bytes(outcome: Outcome) -> bytes:
    error = {"status": outcome.status, "at": now_ms(), **(outcome.error or {})}
    return orjson.dumps(error, default=str)
