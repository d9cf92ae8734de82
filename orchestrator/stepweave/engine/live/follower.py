"""A client of the streams, as the rooms see it."""

from __future__ import annotations

from stepweave.engine.live.notices import Message

__all__ = ["Follower", "Key"]

Key = tuple[str, str, str | None]
"""Stream, group, and an item's id, or None for the whole group."""


class Follower:
    """One client. `rooms` is what it follows; while it is `stale` it gets nothing.

    A follower that cannot keep up makes itself stale, and calls `Rooms.refresh` when it can.
    """

    __slots__ = ("__weakref__", "rooms", "stale")

    def __init__(self) -> None:
        self.rooms: set[Key] = set()
        self.stale = False

    def take(self, message: Message) -> bool:
        """Note a message to send; whether it is the first one since the last `flush`."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send what was noted, or become stale. Raises nothing."""
        raise NotImplementedError

    def lost(self, key: Key, reason: str) -> None:
        """A room could not be read; the follower is not in it."""
        raise NotImplementedError
