"""Throttling: how many deliveries of a lane run at once, and how many start in a window."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from stepweave import payload
from stepweave.engine.delivery import Delivery
from stepweave.errors import InvalidInput
from stepweave.payload import Payload
from stepweave.steps.model import Throttle

__all__ = ["Lanes", "lane_of"]

# A lane of which nothing is under way is forgotten once so many are known.
_MANY = 1024


def lane_of(throttle: Throttle, data: Payload | None) -> str:
    """The lane to which an event belongs: the value at the key, "" without one."""
    if not throttle.key:
        return ""
    try:
        value: Any = payload.decode(data)
    except InvalidInput:
        return ""
    for part in throttle.key:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


class _Lane:
    """`coming` were let go and have not begun yet, `begun` have and are not handed over yet;
    `starts` are times of the clock."""

    __slots__ = ("begun", "coming", "running", "starts", "timer", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.coming = 0
        self.begun = 0
        self.starts: deque[float] = deque()
        self.waiting: deque[Delivery] = deque()
        self.timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        return not (self.running or self.coming or self.waiting or self.starts)


class Lanes:
    """The lanes of one step. What must wait comes back through `release` when it may begin.

    A delivery begins with `admit`, notes its `start` when it is handed to its runner, and ends
    with `finish`. Windows slide and are measured with a clock that is never set.
    """

    def __init__(
        self,
        throttle: Throttle,
        release: Callable[[Delivery], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.throttle = throttle
        self._release = release
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._tidy_at = _MANY

    @property
    def waiting(self) -> dict[str, int]:
        """How many wait, by lane."""
        return {name: len(lane.waiting) for name, lane in self._lanes.items() if lane.waiting}

    def admit(self, name: str, delivery: Delivery) -> bool:
        """Whether the delivery may begin now; if not it waits for its turn."""
        lane = self._lane(name)
        if delivery.lane == name and lane.coming:
            lane.coming -= 1
        elif lane.waiting or self._free(lane) <= 0:
            lane.waiting.append(delivery)
            self._advance(name, lane)
            return False
        delivery.lane = name
        lane.running += 1
        lane.begun += self.throttle.limit is not None
        return True

    def start(self, name: str) -> None:
        """A delivery that was admitted is handed to its runner now."""
        lane = self._lane(name)
        if lane.begun:
            lane.begun -= 1
            lane.starts.append(self._clock())

    def recall(self, name: str, age_s: float) -> None:
        """A delivery started so long ago, in an earlier run of the program."""
        self._lane(name).starts.append(self._clock() - max(0.0, age_s))

    def finish(self, delivery: Delivery) -> None:
        """A delivery that was admitted is over, or will be tried again later."""
        name, delivery.lane = delivery.lane, None
        if name is not None:
            lane = self._lane(name)
            lane.running -= 1
            self._advance(name, lane)

    def change(self, throttle: Throttle) -> None:
        """Take other limits; lanes are those that are known."""
        self.throttle = throttle
        for name, lane in list(self._lanes.items()):
            self._advance(name, lane)

    def leave(self) -> Iterable[Delivery]:
        """Give up what waits."""
        left = [delivery for lane in self._lanes.values() for delivery in lane.waiting]
        for lane in self._lanes.values():
            lane.waiting.clear()
            if lane.timer is not None:
                lane.timer.cancel()
        return left

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            if len(self._lanes) >= self._tidy_at:
                self._tidy()
            lane = self._lanes[name] = _Lane()
        return lane

    def _tidy(self) -> None:
        for lane in self._lanes.values():
            self._expire(lane)
        self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.idle}
        self._tidy_at = max(_MANY, 2 * len(self._lanes))

    def _expire(self, lane: _Lane) -> None:
        until = self._clock() - self.throttle.window_s
        while lane.starts and lane.starts[0] <= until:
            lane.starts.popleft()

    def _free(self, lane: _Lane) -> int:
        """How many more may begin now."""
        throttle, free = self.throttle, 1 << 30
        if throttle.concurrency is not None:
            free = throttle.concurrency - lane.running - lane.coming
        if throttle.limit is not None:
            self._expire(lane)
            free = min(free, throttle.limit - len(lane.starts) - lane.begun - lane.coming)
        return free

    def _advance(self, name: str, lane: _Lane) -> None:
        """Let go as many as may begin; set a timer for the next start that leaves its window."""
        while lane.waiting and self._free(lane) > 0:
            delivery = lane.waiting.popleft()
            delivery.lane = name
            lane.coming += 1
            self._release(delivery)
        if not lane.waiting or lane.timer is not None or not lane.starts:
            return
        pause = lane.starts[0] + self.throttle.window_s - self._clock()

        def due() -> None:
            lane.timer = None
            self._advance(name, lane)

        lane.timer = asyncio.get_running_loop().call_later(max(0.0, pause), due)
