"""What waits for a step that has not been there since the start."""

from __future__ import annotations

from stepweave.engine.delivery.event import Delivery
from stepweave.engine.delivery.ready import Backlog, entry

__all__ = ["Parked"]


class Parked:
    """The deliveries of a step, and a backlog of plain ones."""

    __slots__ = ("backlog", "deliveries")

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.backlog = Backlog()

    def __len__(self) -> int:
        return len(self.deliveries) + len(self.backlog)

    def add(self, delivery: Delivery) -> bool:
        """Keep a delivery; false if its id is enough, so that it may leave memory.

        Whether the step looks at groups is not known, so one with a group stays whole.
        """
        if delivery.plain and not delivery.due_at and delivery.event.group is None:
            self.backlog.push(entry(delivery))
            return False
        self.deliveries.append(delivery)
        return True

    def take_out(self, event: int) -> list[Delivery]:
        """Remove the deliveries of an event."""
        found = [each for each in self.deliveries if each.event.id == event]
        self.deliveries = [each for each in self.deliveries if each not in found]
        return found
