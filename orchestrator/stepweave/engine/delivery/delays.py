"""Deliveries that are not due yet: two heaps and one timer."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Collection, Iterator

from stepweave.calls import now_ms
from stepweave.engine.delivery.event import Delivery

__all__ = ["Delays"]

# The clock may be set, and a timer counts the time that the machine is awake.
_LONGEST_WAIT_S = 30.0

_Heap = list[tuple[int, int, Delivery]]


class Delays:
    """Gives each delivery to `release` once it is due, in the order of those times.

    A delivery with a time of day follows the clock, also when that is set; a pause is measured
    with one that is never set.
    """

    def __init__(self, release: Callable[[Delivery], None]) -> None:
        self._release = release
        self._loop = asyncio.get_running_loop()
        self._clock: _Heap = []
        self._pauses: _Heap = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._stopped = False

    def __len__(self) -> int:
        return len(self._clock) + len(self._pauses)

    def add(self, delivery: Delivery, *, by_clock: bool) -> None:
        """Hold a delivery back until its `due_at`, by the clock or as the pause that is left."""
        self._order += 1
        if by_clock:
            heapq.heappush(self._clock, (delivery.due_at, self._order, delivery))
        else:
            due = _steady_ms() + max(0, delivery.due_at - now_ms())
            heapq.heappush(self._pauses, (due, self._order, delivery))
        self._set_timer()

    def remove(self, event: int, names: Collection[str]) -> list[Delivery]:
        """Take out the deliveries of an event to these subscriptions."""
        found = [
            each for each in self._all() if each.event.id == event and each.subscription in names
        ]
        for heap in (self._clock, self._pauses) if found else ():
            heap[:] = [item for item in heap if item[2] not in found]
            heapq.heapify(heap)
        return found

    def stop(self) -> None:
        """Release nothing any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def counts(self) -> dict[str, int]:
        """How many are held back, by the name of their subscription."""
        counts: dict[str, int] = {}
        for delivery in self._all():
            counts[delivery.subscription] = counts.get(delivery.subscription, 0) + 1
        return counts

    def _all(self) -> Iterator[Delivery]:
        for heap in (self._clock, self._pauses):
            for _, _, delivery in heap:
                yield delivery

    def _set_timer(self) -> None:
        if self._stopped or not len(self):
            return
        waits = [float(_LONGEST_WAIT_S)]
        if self._clock:
            waits.append((self._clock[0][0] - now_ms()) / 1000)
        if self._pauses:
            waits.append((self._pauses[0][0] - _steady_ms()) / 1000)
        at = self._loop.time() + max(0.001, min(waits))
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._due)

    def _due(self) -> None:
        self._timer = None
        try:
            for heap, now in ((self._clock, now_ms()), (self._pauses, _steady_ms())):
                while heap and heap[0][0] <= now:
                    self._release(heapq.heappop(heap)[2])
        finally:
            self._set_timer()


def _steady_ms() -> int:
    return time.monotonic_ns() // 1_000_000
