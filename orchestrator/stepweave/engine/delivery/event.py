"""An event on its way: what is to be delivered, and each of its deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepweave import payload
from stepweave.engine.store.contract import StoredEvent
from stepweave.payload import Payload

if TYPE_CHECKING:
    from stepweave.engine.delivery.lanes import Lane

__all__ = ["UNKNOWN", "Delivery", "Event"]

UNKNOWN = -1
"""How many deliveries an event has left when only the store can tell."""


class Event:
    """An event with deliveries that are not settled.

    `pending` counts them, or is UNKNOWN when some are not in memory. `refs` counts those that
    are. The body may be left in the store (`loaded` False) until a delivery needs it.
    """

    __slots__ = (
        "at", "data", "group", "id", "loaded", "pending", "refs", "size", "topic", "trace"
    )  # fmt: skip

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
        self.refs = 0
        self.loaded = True
        self.size = payload.size(data)

    @classmethod
    def unread(cls, id: int, group: str | None, pending: int) -> Event:
        """An event of which only the id is known yet."""
        event = cls(id, "", None, "", 0, group, pending)
        event.loaded = False
        return event

    @classmethod
    def read(cls, stored: StoredEvent, pending: int) -> Event:
        """An event as the store has it."""
        id, topic, data, trace, _source, at, group = stored
        return cls(id, topic, data, trace, at, group, pending)

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

    def settle(self) -> bool | None:
        """Count one delivery less; whether it was the last, None when that is not known."""
        if self.pending == UNKNOWN:
            return None
        self.pending -= 1
        return self.pending == 0


class Delivery:
    """One event on its way to one step.

    `deaths` counts the runners that died of running it, `put_off` how often it was run in vain
    since its last try, through no fault of its own. `rank` is its place in a FIFO group.
    `due_at` is 0 when it was due at once. `lane` is the lane of a throttle that has let it go.
    """

    __slots__ = (
        "attempt", "deaths", "due_at", "event", "lane", "priority", "put_off", "rank",
        "subscription",
    )  # fmt: skip

    def __init__(
        self,
        event: Event,
        subscription: str,
        attempt: int,
        due_at: int,
        priority: int = 0,
        rank: int | None = None,
    ) -> None:
        self.event = event
        self.subscription = subscription
        self.attempt = attempt
        self.due_at = due_at
        self.priority = priority
        self.rank = event.id if rank is None else rank
        self.deaths = 0
        self.put_off = 0
        self.lane: Lane | None = None
        event.refs += 1

    @property
    def plain(self) -> bool:
        """Whether its event's id says all there is to say of it."""
        return self.attempt == 1 and not self.priority and not self.deaths and self.lane is None
