"""What has to be there before a delivery runs: its body, its lane, and that it is still wanted."""

from __future__ import annotations

from collections.abc import Callable

from stepweave.calls import now_ms
from stepweave.engine.delivery import batches
from stepweave.engine.delivery.bodies import Bodies
from stepweave.engine.delivery.cancelled import Cancelled
from stepweave.engine.delivery.ends import Ends, Notice
from stepweave.engine.delivery.event import UNKNOWN, Delivery, Event
from stepweave.engine.delivery.lanes import lane_of
from stepweave.engine.delivery.ready import entry_id
from stepweave.engine.delivery.records import Records
from stepweave.engine.delivery.runs import Runs
from stepweave.engine.delivery.subscription import Subscription
from stepweave.engine.store.contract import Store, StoredEvent
from stepweave.engine.store.operations import Start
from stepweave.errors import StepweaveError, StoreFailed

__all__ = ["Starts"]

_UNREADABLE_PAUSE_MS = 1000


class Starts:
    """The port (subscription.Port) through which subscriptions begin deliveries.

    `gone` is called for each delivery whose event turns out to be no longer there; `delay` takes
    a delivery until it is due.
    """

    def __init__(
        self,
        store: Store,
        notice: Notice,
        records: Records,
        runs: Runs,
        ends: Ends,
        bodies: Bodies,
        cancelled: Cancelled,
        gone: Callable[[], None],
        delay: Callable[[Delivery], None],
    ) -> None:
        self._store = store
        self._notice = notice
        self._records = records
        self._runs = runs
        self._ends = ends
        self._bodies = bodies
        self._cancelled = cancelled
        self._gone = gone
        self.delay = delay

    def begin(self, subscription: Subscription, delivery: Delivery) -> None:
        """Run a delivery whose turn it is, once its body is here and its lane is free."""
        event = delivery.event
        if self._cancelled and self._set_aside(subscription, delivery):
            subscription.wait(delivery)
            return
        if event.loaded:
            self._admit(subscription, delivery)
            return

        def read(error: StepweaveError | None, stored: StoredEvent | None) -> None:
            if error is not None:
                self._notice("error", f"an event cannot be read, it is tried again: {error}", None)
                self._ends.again(subscription, delivery, _UNREADABLE_PAUSE_MS)
                subscription.free()
            elif stored is None:
                self._ends.settle(subscription, delivery)
                subscription.free()
            else:
                event.fill(stored)
                self._bodies.take(event)
                self._admit(subscription, delivery)

        self._store.event(event.id, read)

    def begin_batch(self, subscription: Subscription, deliveries: list[Delivery]) -> None:
        """Run deliveries together, as many as fit into one call."""
        if self._cancelled:
            taken = [each for each in deliveries if self._set_aside(subscription, each)]
            subscription.active.difference_update(taken)
            deliveries = [each for each in deliveries if each not in taken]
        try:
            deliveries = self._loaded(subscription, deliveries)
        except StoreFailed as error:
            self._notice("error", f"events cannot be read, they are tried again: {error}", None)
            for each in deliveries:
                self._ends.again(subscription, each, _UNREADABLE_PAUSE_MS)
            deliveries = []
        count = batches.fitting([each.event.size for each in deliveries])
        subscription.put_back(deliveries[count:])
        if count:
            self._runs.run_batch(subscription, deliveries[:count])
        else:
            subscription.free()

    def load(self, subscription: Subscription, numbers: list[int]) -> list[Delivery]:
        """Make deliveries of backlog entries. Raises StoreFailed."""
        wanted = dict(map(entry_id, numbers))
        found = {stored.id: stored for stored in self._store.events(list(wanted))}
        name, priority = subscription.name, subscription.priority
        deliveries = []
        for id, pending in wanted.items():
            stored = found.get(id)
            if stored is None:
                # Nothing but a cancellation takes an event away before its delivery.
                if not self._cancelled.drop(id, name):
                    self._gone()
                continue
            event = Event.read(stored, pending)
            self._bodies.take(event)
            deliveries.append(Delivery(event, name, 1, 0, priority))
        return deliveries

    def unreadable(self, error: StoreFailed) -> None:
        """Tell that waiting deliveries cannot be read at present."""
        self._notice("error", f"events cannot be read, they are tried again: {error}", None)

    def drop(self, subscription: Subscription, delivery: Delivery) -> None:
        """A delivery that was cancelled leaves its queue."""
        self.forget(delivery)
        subscription.over(delivery)

    def forget(self, delivery: Delivery) -> None:
        """A delivery that was cancelled is in no queue any more."""
        # The store was the one to count it.
        delivery.event.pending = UNKNOWN
        self._cancelled.drop(delivery.event.id, delivery.subscription)
        self._bodies.forget(delivery.event)

    def _admit(self, subscription: Subscription, delivery: Delivery) -> None:
        """Run a delivery as soon as its lane lets it."""
        lanes = subscription.lanes
        if lanes is None:
            self._runs.run(subscription, delivery)
            return
        name = lane_of(lanes.throttle, delivery.event.data)
        lane = lanes.admit(name, delivery)
        if lane is None:
            self._bodies.rest(delivery.event)
            subscription.wait(delivery)
        elif lanes.throttle.limit is None:
            self._runs.run(subscription, delivery)
        else:

            def recorded() -> None:
                lanes.start(lane)
                self._runs.run(subscription, delivery)

            # A restart must know of it, lest the window be opened twice.
            self._records.once(Start(subscription.name, name, now_ms()), recorded)

    def _loaded(self, subscription: Subscription, deliveries: list[Delivery]) -> list[Delivery]:
        unread = {each.event.id: each for each in deliveries if not each.event.loaded}
        if not unread:
            return deliveries
        for stored in self._store.events(list(unread)):
            event = unread.pop(stored.id).event
            event.fill(stored)
            self._bodies.take(event)
        for gone in unread.values():
            self._ends.settle(subscription, gone)
        return [each for each in deliveries if each.event.id not in unread]

    def _set_aside(self, subscription: Subscription, delivery: Delivery) -> bool:
        """Whether a delivery whose turn has come is cancelled; it is dropped, now or later."""
        state = self._cancelled.look(delivery.event.id, subscription.name)
        if state == "asked":
            self._cancelled.keep_aside(subscription, delivery)
        elif state == "gone":
            self.drop(subscription, delivery)
        return state != "no"
