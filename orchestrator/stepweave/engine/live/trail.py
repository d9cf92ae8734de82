"""The newest changes of all streams, so that who was away for a moment need not start anew."""

from __future__ import annotations

from collections import deque

from stepweave import payload
from stepweave.engine.streams import Change

__all__ = ["Trail"]

_MOST = 10_000
_MOST_BYTES = 8 << 20


class Trail:
    """At most `most` changes and `most_bytes` bytes of items, the newest; events are not kept."""

    def __init__(self, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._order: deque[deque[Change]] = deque()
        """The group of each change that is kept, oldest first."""
        self._groups: dict[tuple[str, str], deque[Change]] = {}
        self._bytes = 0

    def add(self, change: Change) -> None:
        """Keep a change; those of a group come in their order."""
        if change.type == "event":
            return
        key = (change.stream, change.group)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = deque()
        group.append(change)
        self._order.append(group)
        self._bytes += payload.size(change.data)
        while len(self._order) > self._most or self._bytes > self._most_bytes:
            self._forget()

    def between(self, stream: str, group: str, since: int, until: int) -> list[Change] | None:
        """The changes of a group after number `since` up to `until`; None if one is not known."""
        if since == until:
            return []
        kept = self._groups.get((stream, group), ())
        found = [change for change in kept if since < change.seq <= until]
        return found if 0 <= since < until and len(found) == until - since else None

    def _forget(self) -> None:
        group = self._order.popleft()
        change = group.popleft()
        self._bytes -= payload.size(change.data)
        if not group:
            del self._groups[(change.stream, change.group)]
