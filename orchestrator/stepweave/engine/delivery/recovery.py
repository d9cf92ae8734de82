"""What was not settled when the last run ended, taken up at the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby

from stepweave.calls import now_ms
from stepweave.engine import ids
from stepweave.engine.delivery.event import UNKNOWN, Delivery, Event
from stepweave.engine.delivery.parked import Parked
from stepweave.engine.delivery.subscription import Subscription
from stepweave.engine.store.contract import Store, Waiting

__all__ = ["Recovery", "recall_starts"]


class Recovery:
    """Gives each delivery that is in the store to its subscription, or parks it.

    `schedule` takes one that is more than an entry of a backlog, `priority` tells what a step and
    an event's own make.
    """

    def __init__(
        self,
        store: Store,
        subscriptions: Mapping[str, Subscription],
        parked: dict[str, Parked],
        schedule: Callable[[Delivery], None],
        priority: Callable[[str, int | None], int],
    ) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._parked = parked
        self._schedule = schedule
        self._priority = priority

    def take_up(self) -> int:
        """Take up all; how many. Raises StoreFailed."""
        count = 0
        for _event, rows in groupby(self._store.waiting(), lambda row: row.event):
            count += self._take_up_event(list(rows))
        return count

    def _take_up_event(self, rows: list[Waiting]) -> int:
        now = now_ms()
        event: Event | None = None
        for row in rows:
            name = row.subscription
            subscription = self._subscriptions.get(name)
            if row.due_at > now:
                row = row._replace(due_at=self._due_at(row, subscription, now))
            plain = row.attempt == 1 and row.due_at <= now and row.priority is None
            if plain and (row.group is None or (subscription and not subscription.fifo)):
                number = ~row.event if len(rows) == 1 else row.event
                if subscription is not None and not subscription.priority:
                    subscription.add_entry(number)
                    continue
                if subscription is None:
                    self._parked.setdefault(name, Parked()).backlog.push(number)
                    continue
            if event is None:
                pending = 1 if len(rows) == 1 else UNKNOWN
                event = Event.unread(row.event, row.group, pending)
            due_at = row.due_at if row.due_at > now else 0
            priority = self._priority(name, row.priority)
            self._schedule(Delivery(event, name, row.attempt, due_at, priority, row.rank))
        return len(rows)

    def _due_at(self, row: Waiting, subscription: Subscription | None, now: int) -> int:
        """When a delivery is due; after a clock that was set back, not hours later."""
        if row.attempt > 1:
            if subscription is None:
                return row.due_at
            backoff = subscription.step.infrastructure.queue.backoff
            return min(row.due_at, now + int(backoff.ceiling_s(row.attempt - 1) * 1000))
        if now >= ids.born_at(row.event):
            return row.due_at
        # The id may be ahead of the clock for longer than the event was.
        for stored in self._store.events([row.event]):
            if now < stored.at:
                return now + max(0, row.due_at - stored.at)
        return row.due_at


def recall_starts(store: Store, subscriptions: Mapping[str, Subscription]) -> None:
    """Tell lanes what started in earlier runs of the program."""
    now = now_ms()
    lanes = {
        name: subscription.lanes
        for name, subscription in subscriptions.items()
        if subscription.lanes is not None and subscription.lanes.throttle.limit is not None
    }
    if not lanes:
        return
    longest = max(each.throttle.window_s for each in lanes.values())
    for start in store.starts(now - int(longest * 1000)):
        if start.subscription in lanes:
            lanes[start.subscription].recall(start.lane, (now - start.at) / 1000)
