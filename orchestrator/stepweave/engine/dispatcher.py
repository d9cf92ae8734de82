"""Delivers recorded events: a queue per step, and what is due later, parked, held or cancelled."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from stepweave.calls import now_ms
from stepweave.engine import ids
from stepweave.engine.bodies import Bodies
from stepweave.engine.cancelled import Cancelled
from stepweave.engine.delays import Delays
from stepweave.engine.delivery import UNKNOWN, Delivery, Event
from stepweave.engine.invoker import Invoker
from stepweave.engine.pace import Pace
from stepweave.engine.runs import Notice, Runs
from stepweave.engine.starts import Starts
from stepweave.engine.store.contract import Done, Store, Waiting
from stepweave.engine.store.operations import Cancel
from stepweave.engine.subscription import Left, Subscription
from stepweave.errors import StepweaveError
from stepweave.steps.model import Step

__all__ = ["Dispatcher", "Notice"]


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
        pace: Pace,
    ) -> None:
        self._store = store
        self._notice = notice
        self._concurrency = concurrency
        self._pace = pace
        self._subscriptions: dict[str, Subscription] = {}
        self._parked: dict[str, Left] = {}
        self._held: dict[str, set[str]] = {}
        self._delays = Delays(self._release)
        self._bodies = Bodies()
        self._cancelled = Cancelled()
        self._runs = Runs(
            store,
            invoker,
            notice,
            strict_input=strict_input,
            delay=self._delay,
            ended=self._ended,
        )
        self._starts = Starts(
            store, notice, self._runs, self._bodies, self._cancelled, self._one_less
        )
        self.unsettled = 0
        """Deliveries that are neither settled nor buried, parked ones included."""

    # --- steps

    def subscribe(self, steps: Iterable[Step]) -> dict[str, tuple[Subscription, ...]]:
        """Make these the subscribing steps; returns the subscriptions by topic.

        Deliveries of steps that left wait for their return.
        """
        wanted = {step.name: step for step in steps}
        for name in [name for name in self._subscriptions if name not in wanted]:
            left = self._subscriptions.pop(name).leave()
            if len(left):
                self._parked[name] = left
        topics: dict[str, list[Subscription]] = {}
        for name, step in wanted.items():
            subscription = self._subscriptions.get(name)
            if subscription is None:
                held = self._held.setdefault(name, set())
                subscription = Subscription(step, self._concurrency, self._starts, held)
                self._subscriptions[name] = subscription
            else:
                self._change(subscription, step)
            for topic in dict.fromkeys(step.subscribes):
                topics.setdefault(topic, []).append(subscription)
            if name in self._parked:
                self._unpark(subscription)
        return {topic: tuple(group) for topic, group in topics.items()}

    def recover(self) -> int:
        """Take up every delivery that was not settled when the last run ended; returns how many."""
        for subscription in self._subscriptions.values():
            subscription.paused = True
        for name, group in self._store.held():
            self._hold(name, group)
        self._recall_starts()
        count = 0
        for _event, rows in groupby(self._store.waiting(), lambda row: row.event):
            count += self._take_up(list(rows))
        self.unsettled += count
        for name, left in self._parked.items():
            self._notice(
                "warn",
                f"{len(left)} events wait for the step {name}, which is not loaded; they are "
                "delivered when it returns",
                None,
            )
        for subscription in self._subscriptions.values():
            subscription.paused = False
            subscription.start()
        return count

    # --- events

    def accept(self, event: Event, deliveries: Iterable[Delivery]) -> None:
        """Take the deliveries of an event that is recorded."""
        self._bodies.hold(event)
        for delivery in deliveries:
            self.unsettled += 1
            self._schedule(delivery)

    def lead(self, delivery: Delivery) -> None:
        """Take a delivery for which its group was held, ahead of that group."""
        self._bodies.hold(delivery.event)
        self.unsettled += 1
        name, group = delivery.subscription, delivery.event.group
        assert group is not None
        self._held.get(name, set()).discard(group)
        subscription = self._subscriptions.get(name)
        if subscription is None:
            self._parked.setdefault(name, Left()).deliveries.insert(0, delivery)
        elif subscription.fifo:
            subscription.lead(delivery)
        else:
            self._schedule(delivery)

    def let_go(self, name: str, group: str) -> None:
        """The dead letter that held a group is discarded: the next of the group may run."""
        self._held.get(name, set()).discard(group)
        subscription = self._subscriptions.get(name)
        if subscription is not None and subscription.fifo:
            subscription.advance(group)

    def cancel(self, event: int, done: Done, step: str | None = None) -> None:
        """Take away the deliveries of an event that have not begun, or that to one step; `done`
        gets how many."""
        running = self.running_steps(event)
        self._cancelled.begin(event, running)

        def committed(error: StepweaveError | None, results: Any) -> None:
            aside = self._cancelled.end(event, () if error is not None else results[0])
            for subscription, delivery in aside:
                if self._cancelled.look(event, subscription.name) == "gone":
                    self._starts.drop(subscription, delivery)
                else:
                    subscription.release(delivery)
            if error is not None:
                done(error, None)
                return
            self._take_away(event, results[0])
            done(None, len(results[0]))

        self._store.submit((Cancel(event, running, step),), committed)

    def taken(self, event: int, names: list[str]) -> None:
        """Deliveries of an event were taken away from the store, as by `cancel`."""
        running = self.running_steps(event)
        gone = [name for name in names if name not in running]
        self._cancelled.begin(event, running)
        self._cancelled.end(event, gone)
        self._take_away(event, gone)

    # --- looking

    @property
    def idle(self) -> bool:
        """Whether nothing runs or is ready to run; delayed and parked deliveries do not count."""
        return not any(subscription.busy for subscription in self._subscriptions.values())

    @property
    def ready(self) -> int:
        """Deliveries that run or could run; those that are delayed or parked do not count."""
        parked = sum(map(len, self._parked.values())) if self._parked else 0
        return self.unsettled - len(self._delays) - parked

    def running(self) -> set[tuple[int, str]]:
        """(event, step) of every delivery that runs now."""
        return {
            (delivery.event.id, name)
            for name, subscription in self._subscriptions.items()
            for delivery in subscription.active
        }

    def running_steps(self, event: int) -> tuple[str, ...]:
        """The steps in which an event runs now."""
        return tuple(
            name
            for name, subscription in self._subscriptions.items()
            if any(delivery.event.id == event for delivery in subscription.active)
        )

    def statistics(self) -> dict[str, Any]:
        """Totals since start, and per subscription what runs, waits, is delayed or held."""
        delayed = self._delays.counts()
        return {
            "delivered": self._runs.delivered,
            "retried": self._runs.retried,
            "buried": self._runs.buried,
            "subscriptions": {
                name: {**s.describe(), "delayed": delayed.get(name, 0)}
                for name, s in self._subscriptions.items()
            },
            "parked": {name: len(left) for name, left in self._parked.items()},
        }

    def stop(self) -> None:
        """Start no further delivery; what is not settled is delivered after the next start."""
        self._delays.stop()
        for subscription in self._subscriptions.values():
            subscription.paused = True

    # --- parts

    def _change(self, subscription: Subscription, step: Step) -> None:
        held = subscription.holds
        subscription.change(step, self._concurrency)
        if held and not subscription.holds:
            for group in list(subscription.held):
                self.let_go(subscription.name, group)

    def _schedule(self, delivery: Delivery) -> None:
        """Put a delivery into its queue, or hold it until it is due."""
        subscription = self._subscriptions.get(delivery.subscription)
        if subscription is None:
            self._park(delivery)
        elif delivery.due_at > now_ms():
            if subscription.hold(delivery):
                self._delay(delivery)
        elif not subscription.add(delivery):
            self._bodies.forget(delivery.event)

    def _delay(self, delivery: Delivery) -> None:
        """Hold a delivery until it is due: a first one by the time of day, a retry by its pause."""
        self._delays.add(delivery, by_clock=delivery.attempt == 1)

    def _release(self, delivery: Delivery) -> None:
        """Queue a delivery that was held back, now that it is due."""
        subscription = self._subscriptions.get(delivery.subscription)
        if subscription is None:
            self._park(delivery)
        else:
            subscription.release(delivery)

    def _park(self, delivery: Delivery) -> None:
        """Keep a delivery for the return of its step."""
        left = self._parked.setdefault(delivery.subscription, Left())
        left.deliveries.append(delivery)

    def _unpark(self, subscription: Subscription) -> None:
        left = self._parked.pop(subscription.name)
        deliveries, numbers = left.deliveries, left.backlog.take(len(left.backlog))
        if subscription.fifo:
            loaded = self._starts.load(subscription, numbers)
            deliveries = sorted([*deliveries, *loaded], key=lambda delivery: delivery.rank)
            numbers = []
        for delivery in deliveries:
            self._schedule(delivery)
        for number in numbers:
            subscription.add_entry(number)
        subscription.start()

    def _hold(self, name: str, group: str) -> None:
        self._held.setdefault(name, set()).add(group)
        subscription = self._subscriptions.get(name)
        if subscription is not None:
            subscription.keep(group)

    def _recall_starts(self) -> None:
        now = now_ms()
        windows = {
            name: subscription.lanes.throttle.window_s
            for name, subscription in self._subscriptions.items()
            if subscription.lanes is not None and subscription.lanes.throttle.limit is not None
        }
        if not windows:
            return
        for start in self._store.starts(now - int(max(windows.values()) * 1000)):
            if start.subscription in windows:
                lanes = self._subscriptions[start.subscription].lanes
                assert lanes is not None
                lanes.recall(start.lane, (now - start.at) / 1000)

    def _take_up(self, rows: list[Waiting]) -> int:
        """Queue the deliveries of one event, found at start; how many."""
        now = now_ms()
        event: Event | None = None
        for row in rows:
            if row.due_at > now:
                row = row._replace(due_at=_due_at(row, now))
            name = row.subscription
            subscription = self._subscriptions.get(name)
            plain = row.attempt == 1 and row.due_at <= now and row.priority is None
            if plain and (row.group is None or (subscription and not subscription.fifo)):
                number = ~row.event if len(rows) == 1 else row.event
                if subscription is not None and not subscription.priority:
                    subscription.add_entry(number)
                    continue
                if subscription is None:
                    self._parked.setdefault(name, Left()).backlog.push(number)
                    continue
            if event is None:
                pending = 1 if len(rows) == 1 else UNKNOWN
                event = Event.unread(row.event, row.group, pending)
            own = subscription.priority if subscription else 0
            priority = own if row.priority is None else row.priority
            self._schedule(Delivery(event, name, row.attempt, row.due_at, priority, row.rank))
        return len(rows)

    def _one_less(self) -> None:
        self.unsettled -= 1

    def _ended(self, delivery: Delivery) -> None:
        """A delivery is settled or buried."""
        self.unsettled -= 1
        self._bodies.forget(delivery.event)
        self._pace.one_ended()

    # --- cancelled events

    def _take_away(self, event: int, names: list[str]) -> None:
        """Forget deliveries that the store has no more; those in queues go when they come up."""
        self.unsettled -= len(names)
        for subscription in self._subscriptions.values():
            for delivery in subscription.active:
                if delivery.event.id == event:
                    delivery.event.pending = UNKNOWN
        for delivery in self._delays.remove(event):
            holder = self._subscriptions.get(delivery.subscription)
            if holder is not None:
                self._starts.drop(holder, delivery)
        for name in names:
            left = self._parked.get(name)
            if left is not None:
                kept = [each for each in left.deliveries if each.event.id != event]
                if len(kept) < len(left.deliveries):
                    self._cancelled.drop(event, name)
                    left.deliveries = kept


def _due_at(row: Waiting, now: int) -> int:
    """When a delivery found at start is due; after a clock that was set back, not hours later."""
    born = ids.born_at(row.event)
    if row.attempt == 1 and now < born <= row.due_at:
        return now + row.due_at - born
    return row.due_at
