"""Ends calls whose time is over, and gives up children that keep what they were told to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from typing import Literal

from stepweave.calls import Call, Outcome
from stepweave.runners.child import Child

__all__ = ["Deadlines"]

_TICK_S = 0.1
# A look that comes later than this says that this side was held up, such as by its disk.
_LATE_S = 0.5


class Deadlines:
    """Looks at the calls of one pool ten times a second for as long as there are any.

    `busy` says whether calls will come to a child without another `wake`. `drop` takes a
    waiting call whose time is over, `on_stuck` a child that holds a call `grace_s` seconds
    after its cancellation.
    """

    def __init__(
        self,
        children: Callable[[], Iterable[Child]],
        waiting: Collection[Call],
        grace_s: float,
        *,
        busy: Callable[[], bool],
        drop: Callable[[Call, str], None],
        on_stuck: Callable[[Child], None],
    ) -> None:
        self.asleep = True
        """Whether nothing was there to look at; whoever brings a call says `wake`."""
        self._children = children
        self._waiting = waiting
        self._grace_s = grace_s
        self._busy = busy
        self._drop = drop
        self._on_stuck = on_stuck
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def wake(self) -> None:
        """Look from now on."""
        self.asleep = False
        self._due = time.monotonic() + _TICK_S
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def stop(self) -> None:
        """Look no more."""
        self.asleep = False
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        now = time.monotonic()
        # What the children have answered meanwhile is read before one is called stuck.
        late = now - self._due > _LATE_S
        busy = bool(self._waiting) or self._busy()
        for child in self._children():
            busy = busy or bool(child.calls)
            stuck: list[Call] = []
            for call in child.calls.values():
                if call.cancelled_at is None:
                    if call.deadline is not None and now >= call.deadline:
                        child.cancel(call, "timeout")
                elif not late and now - call.cancelled_at >= self._grace_s and not call.done:
                    stuck.append(call)
            if stuck:
                self._on_stuck(child)
            for call in stuck:
                if not _may_be_innocent(child, call):
                    self._give_up(child, call)
        if self._waiting:
            for call in [c for c in self._waiting if c.deadline is not None and now >= c.deadline]:
                self._drop(call, "timeout")
        if busy:
            self.wake()
        else:
            self.asleep = True

    def _give_up(self, child: Child, call: Call) -> None:
        late = call.cancel_reason == "timeout"
        message = (
            f"{call.step.name} did not stop within {self._grace_s:g} s of being told to "
            f"({call.cancel_reason}); its {child.launch.name} runner is replaced"
        )
        code: Literal["timeout", "cancelled"] = "timeout" if late else "cancelled"
        call.finish(Outcome(code, None, {"code": code, "message": message}))
        child.settle()


def _may_be_innocent(child: Child, call: Call) -> bool:
    """Whether another call may be what holds the child up, so that this one had no chance.

    It ends with the child then, and runs again apart. Nobody waits so long for an answer.
    """
    others = len(child.calls) > 1 and not child.responsive
    return others and call.kind != "api" and call.cancel_reason == "timeout"
