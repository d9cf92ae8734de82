"""Forgets dead letters that are older than the project keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from stepweave.calls import Call, now_ms
from stepweave.engine.store.contract import Store
from stepweave.errors import StoreFailed

__all__ = ["Retention"]

_FIRST_S = 10.0
_EVERY_S = 3600.0
_DAY_MS = 86_400_000


class Retention:
    """Looks for old dead letters shortly after the start, and then every hour.

    `days` is how long they are kept. Those that hold a group stay.
    """

    def __init__(
        self,
        store: Store,
        days: float,
        notice: Callable[[str, str, Call | None], None],
        *,
        clock: Callable[[], int] = now_ms,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._days = days
        self._notice = notice
        self._clock = clock
        self._pause = pause

    async def run(self) -> None:
        """Go on until cancelled; ends at once when letters are kept for ever."""
        pause_s = _FIRST_S
        while self._days > 0:
            await self._pause(pause_s)
            await self.sweep()
            pause_s = _EVERY_S

    async def sweep(self) -> None:
        """Forget those that are too old now, and say how many."""
        try:
            count = await self._store.forget_dead(int(self._clock() - self._days * _DAY_MS))
        except StoreFailed as error:
            self._notice("error", f"old dead letters were not forgotten: {error}", None)
            return
        if count:
            letters = "dead letter" if count == 1 else "dead letters"
            text = f"{count} {letters} older than {self._days:g} days forgotten"
            self._notice("info", text, None)
