"""How often and how soon a pool starts children again whose predecessors died."""

from __future__ import annotations

import time

__all__ = ["Restarts"]

_HOPELESS_AFTER = 5
_HEALTHY_AFTER_S = 10.0


class Restarts:
    """Counts the deaths of young children; pauses in seconds, doubling from `base_s` to `cap_s`."""

    def __init__(self, base_s: float, cap_s: float) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._deaths = 0

    def died(self, started_at: float) -> None:
        """A child ended that was started at that moment (`time.monotonic()`)."""
        young = time.monotonic() - started_at < _HEALTHY_AFTER_S
        self._deaths = self._deaths + 1 if young else 0

    def failed(self) -> None:
        """A child could not be started at all."""
        self._deaths += 1

    @property
    def hopeless(self) -> bool:
        """Whether so many in a row have died that calls should not wait for the next."""
        return self._deaths >= _HOPELESS_AFTER

    def pause_s(self) -> float:
        """Seconds before the next start: none after a first death, then doubling to the cap."""
        if self._deaths <= 1:
            return 0.0
        doubled: float = self._base_s * 2 ** min(self._deaths - 2, 20)
        return min(doubled, self._cap_s)
