"""FIFO order: of each message group one delivery is under way, the others wait behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from stepweave.engine.delivery import Delivery
from stepweave.engine.ready import Load, entry

__all__ = ["Groups"]

_WINDOW = 4096


class Groups:
    """The groups of one step that have a delivery under way or are held by a dead letter.

    Beyond a few thousand, those that wait behind are kept as entries (engine.ready).
    """

    __slots__ = ("_behind", "_load", "_waiting")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._behind: dict[str, deque[Delivery | int]] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """Deliveries that wait behind another one."""
        return self._waiting

    def claim(self, group: str, delivery: Delivery) -> Delivery | None:
        """The delivery itself if it leads its group now, else None: it waits behind."""
        behind = self._behind.get(group)
        if behind is None:
            self._behind[group] = deque()
            return delivery
        compact = delivery.plain and self._waiting >= _WINDOW
        behind.append(entry(delivery) if compact else delivery)
        self._waiting += 1
        return None

    def hold(self, group: str) -> None:
        """Let nothing of a group start until `next`."""
        self._behind.setdefault(group, deque())

    def next(self, group: str) -> Delivery | None:
        """The leader is over: the one that leads now, or None when the group is at its end.

        Raises StoreFailed when it cannot be read; it leads all the same and may be asked for
        again.
        """
        behind = self._behind.get(group)
        while behind:
            first = behind[0]
            found = [first] if isinstance(first, Delivery) else self._load([first])
            behind.popleft()
            self._waiting -= 1
            if found:
                return found[0]
        self._behind.pop(group, None)
        return None

    def behind(self, group: str) -> int:
        """How many wait behind the group's leader."""
        return len(self._behind.get(group, ()))

    def leave(self) -> Iterable[Delivery | int]:
        """Give up everything that waits."""
        left = [each for behind in self._behind.values() for each in behind]
        self._behind.clear()
        self._waiting = 0
        return left
