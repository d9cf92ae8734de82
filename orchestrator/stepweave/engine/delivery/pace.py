"""Backpressure: while very much waits, an emit is answered no faster than deliveries end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

__all__ = ["Pace"]

_LONGEST_S = 1.0
"""After which an answer goes out in any case: the emitter may be what everything waits for."""


class Pace:
    """Answers that are held back, oldest first; each delivery that ends lets one go."""

    def __init__(self, longest_s: float = _LONGEST_S) -> None:
        self._longest_s = longest_s
        self._held: deque[tuple[float, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, answer: Callable[[], None]) -> None:
        """Give an answer when another delivery has ended, or after a second."""
        loop = asyncio.get_running_loop()
        self._held.append((loop.time() + self._longest_s, answer))
        if self._timer is None:
            self._timer = loop.call_later(self._longest_s, self._due)

    def one_ended(self) -> None:
        """A delivery has ended: the oldest answer may go."""
        if self._held:
            self._held.popleft()[1]()

    def stop(self) -> None:
        """Give all answers now."""
        if self._timer is not None:
            self._timer.cancel()
        while self._held:
            self._held.popleft()[1]()

    def _due(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._held and self._held[0][0] <= loop.time():
            self._held.popleft()[1]()
        if self._held:
            self._timer = loop.call_at(self._held[0][0], self._due)
