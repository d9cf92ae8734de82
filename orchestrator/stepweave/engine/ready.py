"""What may start: the highest priority first, and beyond a few thousand only ids in memory."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable

from stepweave.engine.delivery import UNKNOWN, Delivery

__all__ = ["Backlog", "Load", "Ready", "entry", "entry_id"]

Load = Callable[[list[int]], list[Delivery]]
"""Makes deliveries of backlog entries; raises StoreFailed when they cannot be read."""

_WINDOW = 4096
_REFILL = 256
_TIDY = 8192


def entry(delivery: Delivery) -> int:
    """A plain delivery as one number: its event's id, inverted if it has no other delivery."""
    event = delivery.event
    if event.pending == 1:
        return ~event.id
    event.pending = UNKNOWN
    return event.id


def entry_id(number: int) -> tuple[int, int]:
    """(event id, deliveries pending) of an entry."""
    return (~number, 1) if number < 0 else (number, UNKNOWN)


class Backlog:
    """Plain deliveries in order, 8 bytes each."""

    __slots__ = ("_ids", "_start")

    def __init__(self) -> None:
        self._ids = array("q")
        self._start = 0

    def __len__(self) -> int:
        return len(self._ids) - self._start

    def push(self, number: int) -> None:
        """Add an entry at the end."""
        self._ids.append(number)

    def take(self, count: int) -> list[int]:
        """Remove up to so many entries from the front."""
        start = self._start
        taken = self._ids[start : start + count].tolist()
        self._start = start + len(taken)
        if self._start >= _TIDY or self._start == len(self._ids):
            del self._ids[: self._start]
            self._start = 0
        return taken

    def put_back(self, numbers: list[int]) -> None:
        """Undo a `take`."""
        self._ids = array("q", numbers) + self._ids[self._start :]
        self._start = 0


class Ready:
    """A queue by priority, then by arrival. `load` brings back what waits outside memory.

    Once more than a few thousand wait, plain deliveries that arrive are kept as entries of a
    backlog until there is room.
    """

    __slots__ = ("_load", "_others", "_plain", "_priorities", "backlog")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._plain: deque[Delivery] = deque()
        self._others: dict[int, deque[Delivery]] = {}
        self._priorities: list[int] = []
        self.backlog = Backlog()

    def __len__(self) -> int:
        return len(self._plain) + len(self.backlog) + self._prioritised()

    def __bool__(self) -> bool:
        return bool(self._plain or self._priorities or len(self.backlog))

    @property
    def full(self) -> bool:
        """Whether a plain delivery had better be added as an entry."""
        return len(self.backlog) > 0 or len(self._plain) >= _WINDOW

    def append(self, delivery: Delivery) -> None:
        """Queue a delivery behind those of its priority."""
        if delivery.priority:
            self._bucket(delivery.priority).append(delivery)
        else:
            self._plain.append(delivery)

    def put_back(self, deliveries: list[Delivery]) -> None:
        """Queue deliveries ahead of those of their priority, in this order."""
        for delivery in reversed(deliveries):
            if delivery.priority:
                self._bucket(delivery.priority).appendleft(delivery)
            else:
                self._plain.appendleft(delivery)

    def pop(self) -> Delivery | None:
        """The next one, None if what was left is gone from the store. Raises what `load` does."""
        if self._priorities and (self._priorities[0] > 0 or not self._anything_plain()):
            priority = self._priorities[0]
            bucket = self._others[priority]
            delivery = bucket.popleft()
            if not bucket:
                del self._others[priority]
                self._priorities.remove(priority)
            return delivery
        if not self._plain:
            self._refill()
        return self._plain.popleft() if self._plain else None

    def clear(self) -> tuple[list[Delivery], Backlog]:
        """Give up everything, in order."""
        backlog, self.backlog = self.backlog, Backlog()
        left = [d for p in self._priorities for d in self._others[p]] + list(self._plain)
        self._plain.clear()
        self._others.clear()
        self._priorities.clear()
        return left, backlog

    def _anything_plain(self) -> bool:
        return bool(self._plain) or len(self.backlog) > 0

    def _prioritised(self) -> int:
        return sum(map(len, self._others.values())) if self._others else 0

    def _bucket(self, priority: int) -> deque[Delivery]:
        bucket = self._others.get(priority)
        if bucket is None:
            bucket = self._others[priority] = deque()
            self._priorities.append(priority)
            self._priorities.sort(reverse=True)
        return bucket

    def _refill(self) -> None:
        while not self._plain and len(self.backlog):
            numbers = self.backlog.take(_REFILL)
            try:
                self._plain.extend(self._load(numbers))
            except BaseException:
                self.backlog.put_back(numbers)
                raise
