"""Delivers recorded events: a queue per step, and what is due later, parked, held or cancelled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Any

from stepweave.calls import now_ms
from stepweave.engine.delivery.awaited import Awaited
from stepweave.engine.delivery.bodies import Bodies
from stepweave.engine.delivery.cancelled import Cancelled
from stepweave.engine.delivery.delays import Delays
from stepweave.engine.delivery.ends import Ends, Notice
from stepweave.engine.delivery.event import UNKNOWN, Delivery, Event
from stepweave.engine.delivery.pace import Pace
from stepweave.engine.delivery.parked import Parked
from stepweave.engine.delivery.records import Records
from stepweave.engine.delivery.recovery import Recovery, recall_starts
from stepweave.engine.delivery.runs import Runs
from stepweave.engine.delivery.starts import Starts
from stepweave.engine.delivery.subscription import Subscription
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.contract import Done, Store
from stepweave.engine.store.operations import Cancel, Settle
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
        self._absent: dict[str, Subscription] = {}
        """Of steps that left."""
        self._parked: dict[str, Parked] = {}
        """What was found at start for steps that have not been there since."""
        self._held: dict[str, dict[str, int]] = {}
        self._stopped = False
        self._delays = Delays(self._release)
        self._bodies = Bodies()
        self._cancelled = Cancelled()
        self._records = Records(store, self._refused)
        self._ends = Ends(
            self._records,
            notice,
            delay=self._pause,
            ended=self._ended,
            cancelled=self._cancelled,
        )
        runs = Runs(invoker, self._ends, notice, strict_input=strict_input)
        self._starts = Starts(
            store,
            notice,
            self._records,
            runs,
            self._ends,
            self._bodies,
            self._cancelled,
            self._one_less,
            self._delay,
        )
        self.unsettled = 0
        """Deliveries that are neither settled nor buried, parked ones included."""

    # --- steps

    def subscribe(
        self, steps: Iterable[Step], awaited: Iterable[Awaited] = ()
    ) -> dict[str, tuple[Subscription | Awaited, ...]]:
        """Make these the subscribing steps; returns the subscriptions by topic.

        Deliveries of steps that left, and of those that are awaited, wait for their return.
        """
        wanted = {step.name: step for step in steps}
        for name in [name for name in self._subscriptions if name not in wanted]:
            self._absent[name] = self._subscriptions.pop(name)
            self._absent[name].paused = True
        topics: dict[str, list[Subscription | Awaited]] = {}
        for name, step in wanted.items():
            subscription = self._subscriptions.get(name)
            if subscription is None:
                subscription = self._subscriptions[name] = self._return(name, step)
            else:
                subscription.change(step, self._concurrency)
            for topic in dict.fromkeys(step.subscribes):
                topics.setdefault(topic, []).append(subscription)
        for each in awaited:
            for topic in each.topics:
                topics.setdefault(topic, []).append(each)
        return {topic: tuple(group) for topic, group in topics.items()}

    def recover(self) -> int:
        """Take up every delivery that was not settled when the last run ended; returns how many."""
        for subscription in self._subscriptions.values():
            subscription.paused = True
        for name, group in self._store.held():
            held = self._held.setdefault(name, {})
            held[group] = held.get(group, 0) + 1
        recall_starts(self._store, self._subscriptions)
        recovery = Recovery(
            self._store, self._subscriptions, self._parked, self._schedule, self.priority
        )
        count = recovery.take_up()
        self.unsettled += count
        for name, left in self._parked.items():
            self._notice(
                "warn",
                f"{len(left)} events wait for the step {name}, which is not loaded; they are "
                "delivered when it returns",
                None,
            )
        for subscription in self._subscriptions.values():
            subscription.paused = self._stopped
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
        self._less_held(name, group)
        subscription = self._find(name)
        if subscription is None:
            self._park(delivery)
        else:
            subscription.lead(delivery)

    def let_go(self, name: str, group: str) -> None:
        """A dead letter that held a group is discarded: the next of the group may run."""
        self._less_held(name, group)
        subscription = self._find(name)
        if subscription is not None:
            subscription.let_go(group)

    def cancel(self, event: int, done: Done, step: str | None = None) -> None:
        """Take away the deliveries of an event that have not begun, or that to one step; `done`
        gets how many."""
        running = self.running_steps(event)
        self._cancelled.begin(event, running)

        def committed(error: StepweaveError | None, results: Any) -> None:
            # One that is over was there because the store had refused to note its end.
            names = () if error is not None else results[0]
            gone = [name for name in names if (event, name) not in self._records.unrecorded]
            self._answered(event, gone)
            self._take_away(event, gone)
            done(error, None if error is not None else len(gone))

        self._store.submit((Cancel(event, running, step),), committed)

    def taken(self, event: int, names: list[str]) -> None:
        """Deliveries of an event were taken away from the store, as by `cancel`."""
        running = self.running_steps(event)
        gone = [name for name in names if name not in running]
        self._cancelled.begin(event, running)
        self._answered(event, gone)
        self._take_away(event, gone)
        # What ended since the commit may have counted on those that are gone.
        self._store.submit((Settle(event, "", None),))

    # --- looking

    @property
    def idle(self) -> bool:
        """Whether nothing runs or is ready to run; delayed and parked deliveries do not count."""
        return not (
            any(subscription.busy for subscription in self._subscriptions.values())
            or any(subscription.running for subscription in self._absent.values())
        )

    @property
    def ready(self) -> int:
        """Deliveries that run or could run; those that are delayed or parked do not count."""
        return self.unsettled - len(self._delays) - sum(self._waiting_for_steps().values())

    def running(self) -> set[tuple[int, str]]:
        """(event, step) of every delivery that runs now."""
        return {
            (delivery.event.id, subscription.name)
            for subscription in self._all()
            for delivery in subscription.active
        }

    def running_steps(self, event: int) -> tuple[str, ...]:
        """The steps in which an event runs now, or is over without the store knowing."""
        unrecorded = [name for id, name in self._records.unrecorded if id == event]
        running = [
            subscription.name
            for subscription in self._all()
            if any(delivery.event.id == event for delivery in subscription.active)
        ]
        return (*running, *unrecorded)

    def statistics(self) -> dict[str, Any]:
        """Totals since start, and per subscription what runs, waits, is delayed or held."""
        delayed = self._delays.counts()
        return {
            "delivered": self._ends.delivered,
            "retried": self._ends.retried,
            "buried": self._ends.buried,
            "subscriptions": {
                name: {**s.describe(), "delayed": delayed.get(name, 0)}
                for name, s in self._subscriptions.items()
            },
            "parked": self._waiting_for_steps(),
        }

    def stop(self) -> None:
        """Start no further delivery; what is not settled is delivered after the next start."""
        self._stopped = True
        self._delays.stop()
        self._records.stop()
        for subscription in self._subscriptions.values():
            subscription.paused = True

    # --- parts

    def _find(self, name: str) -> Subscription | None:
        return self._subscriptions.get(name) or self._absent.get(name)

    def _all(self) -> Iterator[Subscription]:
        return chain(self._subscriptions.values(), self._absent.values())

    def _waiting_for_steps(self) -> dict[str, int]:
        """How many deliveries could run if their step were there, by its name."""
        if not self._absent and not self._parked:
            return {}
        counts = {name: absent.queued for name, absent in self._absent.items() if absent.queued}
        return {**counts, **{name: len(parked) for name, parked in self._parked.items()}}

    def _return(self, name: str, step: Step) -> Subscription:
        """The subscription of a step that comes, or comes back."""
        subscription = self._absent.pop(name, None)
        if subscription is None:
            held = self._held.setdefault(name, {})
            subscription = Subscription(step, self._concurrency, self._starts, held)
            recall_starts(self._store, {name: subscription})
        else:
            subscription.change(step, self._concurrency)
        parked = self._parked.pop(name, None)
        if parked is not None:
            for delivery in sorted(parked.deliveries, key=lambda delivery: delivery.rank):
                self._schedule(delivery, subscription)
            for number in parked.backlog.take(len(parked.backlog)):
                subscription.add_entry(number)
        subscription.paused = self._stopped
        subscription.start()
        return subscription

    def priority(self, name: str, own: int | None) -> int:
        """The priority of a delivery: that of its event or else of its step."""
        subscription = self._find(name) if own is None else None
        return subscription.priority if subscription is not None else own or 0

    def _schedule(self, delivery: Delivery, subscription: Subscription | None = None) -> None:
        """Put a delivery into its queue, or hold it until it is due."""
        subscription = subscription or self._find(delivery.subscription)
        if subscription is None:
            self._park(delivery)
        elif delivery.due_at and delivery.due_at > now_ms():
            if subscription.hold(delivery):
                self._delay(delivery)
        elif not subscription.add(delivery):
            self._bodies.forget(delivery.event)

    def _delay(self, delivery: Delivery) -> None:
        """Hold a delivery until it is due: a first one by the time of day, a retry by its pause."""
        self._delays.add(delivery, by_clock=delivery.attempt == 1)

    def _pause(self, delivery: Delivery) -> None:
        """Hold a delivery that has run already."""
        self._delays.add(delivery, by_clock=False)

    def _release(self, delivery: Delivery) -> None:
        """Queue a delivery that was held back, now that it is due."""
        subscription = self._find(delivery.subscription)
        if subscription is None:
            self._park(delivery)
        else:
            subscription.release(delivery)

    def _park(self, delivery: Delivery) -> None:
        """Keep a delivery for a step that has not been there yet."""
        if not self._parked.setdefault(delivery.subscription, Parked()).add(delivery):
            self._bodies.forget(delivery.event)

    def _less_held(self, name: str, group: str) -> None:
        held = self._held.get(name, {})
        count = held.pop(group, 0) - 1
        if count > 0:
            held[group] = count

    def _refused(self, error: StepweaveError) -> None:
        self._notice("error", f"what became of a delivery was not recorded: {error}", None)

    def _one_less(self) -> None:
        self.unsettled -= 1

    def _ended(self, delivery: Delivery) -> None:
        """A delivery is settled or buried."""
        self.unsettled -= 1
        self._bodies.forget(delivery.event)
        self._pace.one_ended()

    # --- cancelled events

    def _answered(self, event: int, gone: Collection[str]) -> None:
        """The store has said which deliveries it took away: go on with those kept aside."""
        for subscription, delivery in self._cancelled.end(event, gone):
            if self._cancelled.look(event, subscription.name) == "gone":
                self._starts.drop(subscription, delivery)
            else:
                subscription.release(delivery)

    def _take_away(self, event: int, names: Collection[str]) -> None:
        """Forget deliveries that the store has no more; those in queues go when they come up."""
        self.unsettled -= len(names)
        for subscription in self._all():
            for delivery in subscription.active:
                if delivery.event.id == event:
                    delivery.event.pending = UNKNOWN
        for delivery in self._delays.remove(event, names):
            holder = self._find(delivery.subscription)
            if holder is not None:
                self._starts.drop(holder, delivery)
            else:
                self._starts.forget(delivery)
        for name in names:
            parked = self._parked.get(name)
            for delivery in parked.take_out(event) if parked is not None else ():
                self._starts.forget(delivery)
