"""How much of the waiting events' bodies stays in memory."""

from __future__ import annotations

from stepweave.engine.delivery.event import Event

__all__ = ["Bodies"]

_LIMIT = 64 * 1024 * 1024


class Bodies:
    """Counts the bytes held; an event over the limit leaves its body in the store until its turn.

    A delivery leaves memory through `forget`; with the last one of its event the body goes.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
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

    def forget(self, event: Event) -> None:
        """One delivery of an event is no longer in memory."""
        event.refs -= 1
        if event.refs == 0 and event.loaded:
            self.size -= event.size
