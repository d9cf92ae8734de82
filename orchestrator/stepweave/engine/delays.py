"""Deliveries that are not due yet: one heap and one timer."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from stepweave.calls import now_ms
from stepweave.engine.subscription import Delivery

__all__ = ["Delays"]

# A timer counts the time that the machine is awake; a due time is a time of day.
_LONGEST_WAIT_S = 60.0


class Delays:
    """Gives each delivery to `release` once its `due_at` has come, in the order of those times."""

    def __init__(self, release: Callable[[Delivery], None]) -> None:
        self._release = release
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[int, int, Delivery]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0
        self._stopped = False

    def add(self, delivery: Delivery) -> None:
        """Hold a delivery back until it is due."""
        self._order += 1
        heapq.heappush(self._heap, (delivery.due_at, self._order, delivery))
        self._set_timer()

    def stop(self) -> None:
        """Release nothing any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def counts(self) -> dict[str, int]:
        """How many are held back, by the name of their subscription."""
        counts: dict[str, int] = {}
        for _, _, delivery in self._heap:
            counts[delivery.subscription] = counts.get(delivery.subscription, 0) + 1
        return counts

    def _set_timer(self) -> None:
        if not self._heap or self._stopped:
            return
        due = self._heap[0][0]
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        pause = max(0.001, min((due - now_ms()) / 1000, _LONGEST_WAIT_S))
        self._timer = self._loop.call_later(pause, self._due)

    def _due(self) -> None:
        self._timer = None
        now = now_ms()
        while self._heap and self._heap[0][0] <= now:
            self._release(heapq.heappop(self._heap)[2])
        self._set_timer()
