"""The health of one pool's children: their memory and their lag, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from stepweave.runners.child import Child
from stepweave.runners.options import PoolOptions
from stepweave.runners.pulse import Pulse
from stepweave.runners.recycling import Recycling
from stepweave.runners.supervisor import Supervisor

__all__ = ["Health"]


class Health:
    """Keeps figures of each child; replaces one that is stuck, or has used up its calls or memory.

    `recycle_mb` may be changed while it runs; 0 is no limit.
    """

    def __init__(
        self, supervisor: Supervisor, options: PoolOptions, notice: Callable[[str, str], None]
    ) -> None:
        self._supervisor = supervisor
        self._options = options
        self._notice = notice
        self._pulses: WeakKeyDictionary[Child, Pulse] = WeakKeyDictionary()
        self._memory: Mapping[int, int] = {}
        self.recycling = Recycling(supervisor, options, notice)

    def look(self, memory: Mapping[int, int]) -> None:
        """Take the memory of processes (bytes by pid), ping the children, recycle who is due."""
        self._memory = memory
        children = [child for child in self._supervisor.children if not child.draining]
        for child in children:
            pulse = self._pulses.get(child)
            if pulse is None:
                pulse = self._pulses[child] = self._pulse(child)
            pulse.beat()
        self.recycling.look(children, memory)

    def figures(self, child: Child) -> dict[str, Any]:
        """`memory_bytes` and `lag_ms` of a child, None before they were first looked at."""
        pulse = self._pulses.get(child)
        return {
            "memory_bytes": self._memory.get(child.pid),
            "lag_ms": None if pulse is None else pulse.lag_ms,
        }

    def _pulse(self, child: Child) -> Pulse:
        options = self._options
        return Pulse(
            child, options.lag_warning_s, options.unresponsive_s, self._notice, self._unresponsive
        )

    def _unresponsive(self, child: Child) -> None:
        self._supervisor.give_up(child, f"has not answered for {self._options.unresponsive_s:g} s")
