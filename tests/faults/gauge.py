"""How much memory a process has, over time."""

from __future__ import annotations

from tests.faults.server import memory

__all__ = ["Gauge", "mb"]


class Gauge:
    """`last` and `peak` are what `read` has seen, in bytes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.last = self.peak = 0

    def read(self) -> int:
        """Look now."""
        self.last = memory(self._pid)
        self.peak = max(self.peak, self.last)
        return self.last


def mb(size: float) -> str:
    """Bytes for people."""
    return f"{size / (1 << 20):,.1f} MB"
