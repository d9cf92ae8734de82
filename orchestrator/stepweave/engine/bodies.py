"""How much of the waiting events' bodies stays in memory."""

from __future__ import annotations

from stepweave.engine.subscription import Event

__all__ = ["Bodies"]

_LIMIT = 64 * 1024 * 1024
_SMALL = 1024


class Bodies:
    """Counts the bytes held; an event over the limit leaves its body in the store until its turn.

    Small bodies are always kept: the object around them weighs as much.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self.size = 0

    def hold(self, event: Event) -> None:
        """Keep the body of an event if there is room."""
        if self.size + event.size > self._limit and event.size > _SMALL:
            event.drop()
        else:
            self.size += event.size

    def forget(self, event: Event) -> None:
        """An event is settled altogether."""
        if event.pending == 0 and event.loaded:
            self.size -= event.size
