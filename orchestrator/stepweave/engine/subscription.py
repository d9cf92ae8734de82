"""The queue of one subscribing step: what waits, what runs, and in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from stepweave import payload
from stepweave.engine.store.contract import StoredEvent
from stepweave.payload import Payload
from stepweave.steps.model import Step

__all__ = ["Delivery", "Event", "Subscription"]


class Event:
    """An event with deliveries that are not settled (`pending` of them).

    Its body may be left in the store (`loaded` False) until a delivery needs it.
    """

    __slots__ = ("at", "data", "group", "id", "loaded", "pending", "size", "topic", "trace")

    def __init__(
        self,
        id: int,
        topic: str,
        data: Payload | None,
        trace: str,
        at: int,
        group: str | None,
        pending: int,
    ) -> None:
        self.id = id
        self.topic = topic
        self.data = data
        self.trace = trace
        self.at = at
        self.group = group
        self.pending = pending
        self.loaded = True
        self.size = payload.size(data)

    @classmethod
    def unread(cls, id: int, group: str | None) -> Event:
        """An event of which only the id is known yet."""
        event = cls(id, "", None, "", 0, group, 0)
        event.loaded = False
        return event

    def fill(self, stored: StoredEvent) -> None:
        """Take what the store has."""
        self.topic = stored.topic
        self.data = stored.data
        self.trace = stored.trace
        self.at = stored.at
        self.size = payload.size(stored.data)
        self.loaded = True

    def drop(self) -> None:
        """Leave the body in the store."""
        self.data = None
        self.loaded = False


class Delivery:
    """One event on its way to one step. `deaths` counts the runners that died of running it."""

    __slots__ = ("attempt", "deaths", "due_at", "event", "subscription")

    def __init__(self, event: Event, subscription: str, attempt: int, due_at: int) -> None:
        self.event = event
        self.subscription = subscription
        self.attempt = attempt
        self.due_at = due_at
        self.deaths = 0


class Subscription:
    """Starts deliveries through `begin`, at most `concurrency` at once.

    In a FIFO step one delivery of each message group is under way at a time; while it runs or
    waits for its next try, the later ones of its group stay behind it. Every delivery that was
    begun comes back through `finish` or `retry`. Deliveries are stored under `name`, the step's,
    and each is held back for `delay_ms` first.
    """

    __slots__ = (
        "_begin",
        "_concurrency",
        "_groups",
        "_ready",
        "_starting",
        "delay_ms",
        "name",
        "paused",
        "running",
        "step",
    )

    def __init__(
        self, step: Step, concurrency: int, begin: Callable[[Subscription, Delivery], None]
    ) -> None:
        self._begin = begin
        self._ready: deque[Delivery] = deque()
        self._groups: dict[str, deque[Delivery]] = {}
        self._starting = False
        self.running = 0
        self.paused = False
        self.change(step, concurrency)

    @property
    def queued(self) -> int:
        """Deliveries that are ready or behind another one of their group."""
        return len(self._ready) + sum(len(group) for group in self._groups.values())

    @property
    def busy(self) -> bool:
        """Whether anything runs or could run now."""
        return bool(self.running or self._ready)

    def change(self, step: Step, concurrency: int) -> None:
        """Take a new revision of the step."""
        self.step = step
        self.name = step.name
        self.delay_ms = int(step.infrastructure.queue.delay_s * 1000)
        self._concurrency = step.infrastructure.queue.concurrency or concurrency

    def add(self, delivery: Delivery) -> None:
        """Queue a delivery that is due."""
        if self._claim(delivery):
            self._ready.append(delivery)
            self._pump()

    def hold(self, delivery: Delivery) -> bool:
        """Note a delivery that is not due yet; False when it waits behind its group instead."""
        return self._claim(delivery)

    def release(self, delivery: Delivery) -> None:
        """Queue a delivery that was held or is tried again, ahead of its group."""
        self._ready.append(delivery)
        self._pump()

    def finish(self, delivery: Delivery, *, keep: bool = False) -> None:
        """A delivery is over; the next of its group may start unless it is kept for later."""
        self.running -= 1
        if not keep:
            self._next_of_group(delivery)
        self._pump()

    def retry(self, delivery: Delivery) -> None:
        """A delivery will come back through `release`; its group waits for it."""
        self.running -= 1
        self._pump()

    def leave(self) -> list[Delivery]:
        """Give up what has not started, in order; the step is gone."""
        self.paused = True
        left = [*self._ready, *(d for group in self._groups.values() for d in group)]
        self._ready.clear()
        self._groups.clear()
        return sorted(left, key=lambda delivery: delivery.event.id)

    def _claim(self, delivery: Delivery) -> bool:
        group = delivery.event.group
        if group is None or self.step.infrastructure.queue.type != "fifo":
            return True
        behind = self._groups.get(group)
        if behind is not None:
            behind.append(delivery)
            return False
        self._groups[group] = deque()
        return True

    def _next_of_group(self, delivery: Delivery) -> None:
        group = delivery.event.group
        behind = self._groups.get(group) if group is not None else None
        if behind:
            self._ready.append(behind.popleft())
        elif behind is not None and group is not None:
            del self._groups[group]

    def _pump(self) -> None:
        if self._starting:
            return
        self._starting = True
        try:
            while self._ready and self.running < self._concurrency and not self.paused:
                self.running += 1
                self._begin(self, self._ready.popleft())
        finally:
            self._starting = False
