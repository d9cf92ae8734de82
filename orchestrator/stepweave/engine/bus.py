"""The bus: records what is emitted and hands it to every subscribing step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stepweave import payload
from stepweave.calls import Call, now_ms
from stepweave.engine import ids
from stepweave.engine.delivery.awaited import Awaited
from stepweave.engine.delivery.dispatcher import Dispatcher, Notice
from stepweave.engine.delivery.event import Delivery, Event
from stepweave.engine.delivery.pace import Pace
from stepweave.engine.delivery.subscription import Subscription
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.contract import Store
from stepweave.engine.store.operations import Cancel, Discard, PutEvent, Redrive
from stepweave.engine.transaction import Transaction
from stepweave.errors import Busy, InvalidInput, NotDeclared, ShuttingDown, StepweaveError
from stepweave.payload import Payload
from stepweave.steps.model import Step

__all__ = ["Bus", "BusOptions", "Done", "Notice"]

Done = Callable[[StepweaveError | None, Any], None]


class BusOptions:
    """Settings of the bus: what the project says about events."""

    __slots__ = (
        "concurrency",
        "dedup_window_ms",
        "max_waiting",
        "slow_at",
        "strict_emits",
        "strict_input",
    )

    def __init__(
        self,
        *,
        concurrency: int = 64,
        max_waiting: int = 1_000_000,
        slow_at: int = 20_000,
        dedup_window_ms: int = 86_400_000,
        strict_emits: bool = False,
        strict_input: bool = False,
    ) -> None:
        self.concurrency = concurrency
        self.max_waiting = max_waiting
        self.slow_at = slow_at
        self.dedup_window_ms = dedup_window_ms
        self.strict_emits = strict_emits
        self.strict_input = strict_input


class Bus:
    """At-least-once delivery from `emit` to each subscribing step.

    An event and its deliveries are committed before anyone is told of them. After a crash what
    was not settled is delivered again.
    """

    def __init__(self, store: Store, invoker: Invoker, notice: Notice, options: BusOptions) -> None:
        self._store = store
        self._notice = notice
        self._options = options
        # The clock may have been set back since the last run: order goes by ids.
        self._ids = ids.EventIds(after=store.newest())
        self._topics: dict[str, tuple[Subscription | Awaited, ...]] = {}
        self._pace = Pace()
        self._dispatcher = Dispatcher(
            store,
            invoker,
            notice,
            concurrency=options.concurrency,
            strict_input=options.strict_input,
            pace=self._pace,
        )
        self._warned: set[tuple[str, str]] = set()
        self._stopping = False
        self.published = 0

    def subscribe(self, steps: Iterable[Step], awaited: Iterable[Awaited] = ()) -> None:
        """Make these the subscribing steps.

        Deliveries of steps that left wait for their return, as do those of `awaited` ones.
        """
        self._topics = self._dispatcher.subscribe(steps, awaited)

    def recover(self) -> int:
        """Take up every delivery that was not settled when the last run ended; returns how many."""
        return self._dispatcher.recover()

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
        priority: int | None = None,
    ) -> None:
        """Publish in the name of a running handler; `done` gets the event's id once it is durable.

        Raises InvalidInput for an empty topic or key, and NotDeclared for a topic missing in the
        step's `emits` when the project is strict; otherwise that is a warning, once per step and
        topic.
        """
        step = call.step
        assert isinstance(step, Step)
        if not topic:
            raise InvalidInput(f"{step.name}: emit needs a topic that is not empty")
        if event_key == "":
            # All events with it would count as one.
            raise InvalidInput(f"{step.name}: emit takes an id that is not empty, or none")
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
            done=self._paced(done) if self._crowded else done,
            priority=priority,
            transaction=call.transaction,
        )
        if call.transaction is None:
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
        priority: int | None = None,
        transaction: Transaction | None = None,
    ) -> str:
        """Record an event and deliver it; returns its id, `done` gets it once it is durable.

        `trace` is the traceparent of the span that emits. A `due_at` (Unix ms) in the future
        holds all deliveries back until then. A `priority` goes before that of a step. Within a
        `transaction` the event is accepted when that is committed. Raises ShuttingDown while
        Stepweave stops and Busy when too many deliveries wait.
        """
        if self._stopping:
            raise ShuttingDown("Stepweave is stopping and takes no new events")
        waiting = self._dispatcher.unsettled
        if waiting >= self._options.max_waiting:
            raise Busy(
                f"{waiting} deliveries wait, which is the limit; {topic} was not taken. "
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
        rows = tuple((each.name, start + each.delay_ms) for each in subscriptions)
        deliveries = [
            Delivery(
                event,
                subscription.name,
                1,
                due if due > now else 0,
                subscription.priority if priority is None else priority,
            )
            for subscription, (_, due) in zip(subscriptions, rows, strict=True)
        ]
        window = now + self._options.dedup_window_ms
        op = PutEvent(id, topic, data, trace, source, now, group, event_key, rows, window, priority)

        def accepted(twin: int | None) -> None:
            if twin is None and deliveries:
                self._dispatcher.accept(event, deliveries)

        def committed(error: StepweaveError | None, results: Any) -> None:
            if error is not None:
                done(error, None)
                return
            twin = results[0]
            try:
                done(None, shown if twin is None else ids.show(twin))
            finally:
                if transaction is None:
                    accepted(twin)

        if transaction is None:
            self._store.submit((op,), committed)
        else:
            transaction.submit((op,), committed, accepted)
        return shown

    def redrive(self, dead: int, done: Done, data: tuple[Payload | None] | None = None) -> None:
        """Deliver a dead letter anew; `done` gets the new event's id, or None if it is gone.

        `data` is a 1-tuple of what to deliver instead of the letter's own data.
        """

        def committed(error: StepweaveError | None, results: Any) -> None:
            made = None if error is not None else results[0]
            if made is None:
                done(error, None)
                return
            put, held = made
            event = Event(put.id, put.topic, put.data, put.trace, put.at, put.group, 1)
            ((name, _due_at),) = put.deliveries
            priority = self._dispatcher.priority(name, put.priority)
            delivery = Delivery(event, name, 1, 0, priority, put.rank)
            if held:
                self._dispatcher.lead(delivery)
            else:
                self._dispatcher.accept(event, [delivery])
            done(None, ids.show(put.id))

        self._store.submit((Redrive(dead, self._ids.next(), now_ms(), data),), committed)

    def discard(self, dead: int, done: Done) -> None:
        """Forget a dead letter; `done` gets whether it was there. A group that it held goes on."""

        def committed(error: StepweaveError | None, results: Any) -> None:
            found = None if error is not None else results[0]
            if found is not None and found[1] is not None:
                self._dispatcher.let_go(*found)
            done(error, found is not None)

        self._store.submit((Discard(dead),), committed)

    def cancel_event(self, event: int, done: Done, step: str | None = None) -> None:
        """Take away the deliveries of an event that have not begun, or that to one step; `done`
        gets how many."""
        self._dispatcher.cancel(event, done, step)

    def cancel(self, call: Call, event: str, done: Done) -> None:
        """Cancel an event in the name of a running handler, by the id that `emit` gave.

        An atomic one is answered None, since it takes effect only at its end. Raises InvalidInput
        for what is no such id.
        """
        id = ids.read(event)
        if call.transaction is None:
            self.cancel_event(id, done)
        else:
            op = Cancel(id, self._dispatcher.running_steps(id))
            taken = self._dispatcher.taken
            call.transaction.submit(
                (op,), lambda error, _: done(error, None), lambda names: taken(id, names)
            )

    @property
    def idle(self) -> bool:
        """Whether nothing runs or is ready to run; delayed and parked deliveries do not count."""
        return self._dispatcher.idle

    @property
    def waiting(self) -> int:
        """Deliveries that are not settled, those of absent steps included."""
        return self._dispatcher.unsettled

    def running(self) -> set[tuple[int, str]]:
        """(event, step) of every delivery that runs now."""
        return self._dispatcher.running()

    def stop(self) -> None:
        """Take no event and start no delivery; the rest is delivered after the next start."""
        self._stopping = True
        self._dispatcher.stop()
        self._pace.stop()

    def statistics(self) -> dict[str, Any]:
        """Totals since start, and per subscription what runs, waits and is delayed."""
        return {
            "published": self.published,
            "slowed": len(self._pace),
            **self._dispatcher.statistics(),
        }

    @property
    def _crowded(self) -> bool:
        limit = self._options.slow_at
        waiting = self._dispatcher.unsettled
        return 0 < limit < waiting and limit < self._dispatcher.ready

    def _paced(self, done: Done) -> Done:
        """Answer an emit when there is room again, so that its handler goes no faster."""

        def answer(error: StepweaveError | None, event: Any) -> None:
            if error is not None:
                done(error, None)
            else:
                self._pace.hold(lambda: done(None, event))

        return answer

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
