"""What may start: the highest priority first, and beyond a few thousand only ids in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from stepweave.engine.delivery.event import UNKNOWN, Delivery
from stepweave.ranked import Ranked

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

    __slots__ = ("_load", "_queue", "backlog")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._queue: Ranked[Delivery] = Ranked()
        self.backlog = Backlog()

    def __len__(self) -> int:
        return len(self._queue) + len(self.backlog)

    def __bool__(self) -> bool:
        return bool(self._queue) or len(self.backlog) > 0

    @property
    def full(self) -> bool:
        """Whether a plain delivery had better be added as an entry."""
        return len(self.backlog) > 0 or len(self._queue.plain) >= _WINDOW

    @property
    def first(self) -> Delivery | None:
        """The next one as far as it is in memory."""
        return next(iter(self._queue), None)

    def append(self, delivery: Delivery) -> None:
        """Queue a delivery behind those of its priority."""
        self._queue.append(delivery, delivery.priority)

    def put_back(self, deliveries: list[Delivery]) -> None:
        """Queue deliveries ahead of those of their priority, in this order."""
        for delivery in reversed(deliveries):
            self._queue.appendleft(delivery, delivery.priority)

    def pop(self) -> Delivery | None:
        """The next one, None if what was left is gone from the store. Raises what `load` does."""
        top = self._queue.top
        if len(self.backlog) and (top is None or top < 0):
            self._refill()
        return self._queue.popleft() if self._queue else None

    def clear(self) -> tuple[list[Delivery], Backlog]:
        """Give up everything, in order."""
        backlog, self.backlog = self.backlog, Backlog()
        return self._queue.clear(), backlog

    def _refill(self) -> None:
        plain = self._queue.plain
        while not plain and len(self.backlog):
            numbers = self.backlog.take(_REFILL)
            try:
                for delivery in self._load(numbers):
                    self._queue.append(delivery, delivery.priority)
            except BaseException:
                self.backlog.put_back(numbers)
                raise
