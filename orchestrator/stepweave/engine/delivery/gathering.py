"""When a batch is full or its first event has waited long enough, and which go into it."""

from __future__ import annotations

import asyncio

from stepweave.calls import now_ms
from stepweave.engine.delivery.event import Delivery
from stepweave.engine.delivery.ready import Ready
from stepweave.errors import StoreFailed
from stepweave.steps.model import Batch

__all__ = ["Gathering"]


class Gathering:
    """Takes what is ready in batches."""

    __slots__ = ("_ready", "_since")

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        self._since: float | None = None

    def anew(self) -> None:
        """Nothing is ready: the next one is the first."""
        self._since = None

    def pause_s(self, batch: Batch) -> float:
        """Seconds until a batch may begin, 0 for now. Only while something is ready."""
        if not batch.wait_s or len(self._ready) >= batch.size:
            return 0.0
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now - min(self._waited_s(), batch.wait_s)
        return max(0.0, self._since + batch.wait_s - now)

    def take(self, batch: Batch) -> list[Delivery]:
        """Those that go into one call; a delivery whose runner died goes without others.

        Raises StoreFailed when they cannot be read; they stay ready then.
        """
        self._since = None
        taken: list[Delivery] = []
        try:
            while self._ready and len(taken) < batch.size:
                delivery = self._ready.pop()
                if delivery is None:
                    break
                if delivery.deaths and taken:
                    self._ready.put_back([delivery])
                    break
                taken.append(delivery)
                if delivery.deaths:
                    break
        except StoreFailed:
            self._ready.put_back(taken)
            raise
        return taken

    def _waited_s(self) -> float:
        """How long the first one has been there: the call before may have kept it waiting."""
        first = self._ready.first
        if first is None:
            return 0.0
        return max(0, now_ms() - max(first.event.at, first.due_at)) / 1000
