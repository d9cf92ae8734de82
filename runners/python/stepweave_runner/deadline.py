"""When the time of an invocation is up."""

from __future__ import annotations

import datetime
import math
import time

__all__ = ["Deadline"]


class Deadline:
    """`ms` is what was left at `started`, by time.monotonic(); None means that there is no end."""

    def __init__(self, ms: float | None, started: float) -> None:
        self._ends = math.inf if ms is None else started + ms / 1000

    @property
    def time(self) -> datetime.datetime | None:
        """The point in time, in UTC; None if there is none."""
        if self._ends == math.inf:
            return None
        left = datetime.timedelta(seconds=self._ends - time.monotonic())
        return datetime.datetime.now(datetime.timezone.utc) + left

    def remaining_ms(self) -> float:
        """Whole milliseconds that are left, 0 when it has passed, infinity without an end."""
        left = (self._ends - time.monotonic()) * 1000
        return left if left == math.inf else max(0, round(left))
