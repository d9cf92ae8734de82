"""Looks at all children every few seconds: one timer for a whole project."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from stepweave.runners import memory
from stepweave.runners.pool import Pool

__all__ = ["Watch"]

PERIOD_S = 5.0


class Watch:
    """Hands each pool the memory of its children, upon which it looks after them."""

    def __init__(self, pools: Callable[[], Sequence[Pool]], period_s: float = PERIOD_S) -> None:
        self._pools = pools
        self._period_s = period_s
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._period_s, self._begin)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    async def look(self) -> None:
        """Look once, now."""
        pids = [child.pid for pool in self._pools() for child in pool.children if child.pid]
        sizes = await asyncio.to_thread(memory.resident, pids)
        for pool in self._pools():
            pool.look(sizes)

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self._looking is None or self._looking.done():
            self._looking = loop.create_task(self.look())
        self._timer = loop.call_later(self._period_s, self._begin)
