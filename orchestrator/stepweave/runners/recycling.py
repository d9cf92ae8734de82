"""Replaces children that have served long enough or grown too large, before they do harm."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from stepweave.errors import StepweaveError
from stepweave.runners.child import Child
from stepweave.runners.options import PoolOptions
from stepweave.runners.supervisor import Supervisor

__all__ = ["Recycling"]

PAUSE_S = 10.0
"""The least time between two replacements in one pool."""

_LONGEST_PAUSE_S = 300.0


class Recycling:
    """Replaces one child of a pool at a time, the new one ready before the old one leaves.

    When a new one cannot be had the old one stays, and the pause before the next try doubles.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        options: PoolOptions,
        notice: Callable[[str, str], None],
    ) -> None:
        self.calls = options.recycle_calls
        self.megabytes = options.recycle_mb
        self.pause_s = PAUSE_S
        self._supervisor = supervisor
        self._notice = notice
        self._not_before = 0.0
        self._failures = 0
        self._began = 0.0
        self._told = False

    def look(self, children: Sequence[Child], memory: Mapping[int, int]) -> None:
        """Begin to replace the first of these children that is due, if the pause is over."""
        for child in children:
            reason = self._due(child, memory.get(child.pid, 0))
            if reason is None:
                continue
            if time.monotonic() >= self._not_before:
                self._told = self._told and child.started_at >= self._began
                self._began = time.monotonic()
                self._not_before = float("inf")
                self._supervisor.background(self._replace(child, reason))
            elif not self._failures:
                self._tell(child, reason)
            return

    def _due(self, child: Child, memory: int) -> str | None:
        """Why a child is to be replaced, if it is."""
        if self.calls and child.served >= self.calls:
            return f"it served {child.served} calls (recycle_calls is {self.calls})"
        if self.megabytes and memory > self.megabytes * (1 << 20):
            return f"it holds {memory >> 20} MB (the limit is {self.megabytes:g})"
        return None

    async def _replace(self, child: Child, reason: str) -> None:
        try:
            if await self._supervisor.replace(child):
                self._notice("info", f"{_who(child)} is replaced: {reason}")
            self._failures = 0
        except StepweaveError as error:
            self._failures += 1
            self._notice("warn", f"{_who(child)} was to be replaced and stays: {error}")
        pause_s = min(self.pause_s * 2**self._failures, max(self.pause_s, _LONGEST_PAUSE_S))
        self._not_before = time.monotonic() + pause_s

    def _tell(self, child: Child, reason: str) -> None:
        """Say that a successor is due before the pause is over; once for a row of such."""
        if not self._told and child.started_at >= self._began:
            self._told = True
            self._notice(
                "warn",
                f"{_who(child)} is due again soon after its start: {reason}; "
                f"one is replaced every {self.pause_s:g} s at most",
            )


def _who(child: Child) -> str:
    return f"the {child.launch.title} (pid {child.pid})"
