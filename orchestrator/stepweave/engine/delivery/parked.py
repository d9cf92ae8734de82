"""What waits for a step that has not been there since the start."""

from __future__ import annotations

from stepweave.engine.delivery.event import Delivery
from stepweave.engine.delivery.ready import Backlog

__all__ = ["Parked"]


class Parked:
    """The deliveries of a step, and a backlog of plain ones."""

    __slots__ = ("backlog", "deliveries")

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.backlog = Backlog()

    def __len__(self) -> int:
        return len(self.deliveries) + len(self.backlog)

    def take_out(self, event: int) -> list[Delivery]:
        """Remove the deliveries of an event."""
        found = [each for each in self.deliveries if each.event.id == event]
        self.deliveries = [each for each in self.deliveries if each not in found]
        return found
