"""How long one child takes to answer, which is how long its event loop keeps work waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from stepweave.errors import RunnerGone
from stepweave.rpc import messages
from stepweave.runners.child import Child

__all__ = ["Pulse"]

_NAMED = 5
_SECOND_LOOK_S = 0.05


class Pulse:
    """Pings a child and tells of a lag once when it comes and once when it is over.

    `warn_s` and `unresponsive_s` are seconds without an answer, 0 for never; after the latter
    `on_unresponsive` is called.
    """

    def __init__(
        self,
        child: Child,
        warn_s: float,
        unresponsive_s: float,
        notice: Callable[[str, str], None],
        on_unresponsive: Callable[[Child], None],
    ) -> None:
        self._child = child
        self._warn_s = warn_s
        self._unresponsive_s = unresponsive_s
        self._notice = notice
        self._on_unresponsive = on_unresponsive
        self._asked_at: float | None = None
        self._lag_s: float | None = None
        self._served = -1
        self._warned = False
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def lag_ms(self) -> float | None:
        """Milliseconds that the last ping took, or that the one on its way has taken so far."""
        lag_s = self._lag_s
        if self._asked_at is not None:
            lag_s = max(lag_s or 0.0, time.monotonic() - self._asked_at)
        return None if lag_s is None else round(lag_s * 1000, 1)

    def beat(self) -> None:
        """Ping the child, unless it still owes an answer, has rested since the last one, or loads
        files: those have a limit of their own, and a ping would wait behind all of them."""
        child = self._child
        resting = not child.calls and child.served == self._served and not self._warned
        if self._asked_at is not None or resting or child.loading or not child.ready:
            return
        self._served = child.served
        try:
            child.peer.request(messages.PING, {}, self._answered)
        except RunnerGone:
            return  # its end is noticed elsewhere
        self._asked_at = time.monotonic()
        if self._warn_s and not self._warned:
            self._after(self._warn_s, self._warn)
        if self._unresponsive_s:
            self._after(self._unresponsive_s, lambda: self._on_unresponsive(child))

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        """Act when there is no answer within that time.

        If it was this side that was held up, the answer may lie in the pipe: it is read first.
        """
        loop = asyncio.get_running_loop()

        def late() -> None:
            self._timers.append(loop.call_later(_SECOND_LOOK_S, act))

        self._timers.append(loop.call_later(seconds, late))

    def _answered(self, error: Any, _result: Any) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if isinstance(error, BaseException) or self._asked_at is None:
            return
        self._lag_s = time.monotonic() - self._asked_at
        self._asked_at = None
        if self._warned and self._lag_s < self._warn_s:
            self._warned = False
            self._notice("info", f"{self._who()} answers without delay again")

    def _warn(self) -> None:
        self._warned = True
        names = sorted({call.step.name for call in self._child.calls.values()})
        shown = ", ".join(names[:_NAMED])
        if len(names) > _NAMED:
            shown += f" and {len(names) - _NAMED} more"
        self._notice(
            "warn",
            f"{self._who()} has not answered for {self._warn_s:g} s; "
            + (f"it runs {shown}" if shown else "no step runs in it"),
        )

    def _who(self) -> str:
        return f"the {self._child.launch.title} (pid {self._child.pid})"
