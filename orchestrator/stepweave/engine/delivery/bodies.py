"""How much of the waiting events' bodies stays in memory."""

from __future__ import annotations

from stepweave.engine.delivery.event import Event

__all__ = ["LIMIT", "Bodies"]

LIMIT = 64 * 1024 * 1024
"""Bytes."""


class Bodies:
    """Counts the bytes held; an event over the limit leaves its body in the store until its turn.

    A delivery leaves memory through `forget`; with the last one of its event the body goes.
    """

    def __init__(self) -> None:
        self._limit = LIMIT
        self.size = 0

    def hold(self, event: Event) -> None:
        """Keep the body of an event if there is room."""
        if self.size + event.size > self._limit and event.size:
            event.drop()
        else:
            self.size += event.size

    def take(self, event: Event) -> None:
        """Keep the body of an event whose turn has come, room or not."""
        self.size += event.size

    def rest(self, event: Event) -> None:
        """Leave the body of an event that has to wait after all in the store, if there is no room
        and no other delivery of it is under way."""
        if self.size > self._limit and event.refs == 1 and event.size:
            self.size -= event.size
            event.drop()

    def forget(self, event: Event) -> None:
        """One delivery of an event is no longer in memory."""
        event.refs -= 1
        if event.refs == 0 and event.loaded:
            self.size -= event.size
