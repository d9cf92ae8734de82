"""The time of day and timers, as cron needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from stepweave.calls import now_ms

__all__ = ["Clock", "SystemClock", "Timer"]


class Timer(Protocol):
    """A callback that will be called once, unless it is cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """The time of day and timers; tests have one of their own."""

    def now(self) -> int:
        """Unix ms."""
        ...

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer: ...


class SystemClock:
    """The machine's clock and the running loop's timers."""

    def now(self) -> int:
        """Unix ms."""
        return now_ms()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back on the loop's thread after at least so many seconds awake."""
        return asyncio.get_running_loop().call_later(delay_s, callback)
