"""Throttling: how many deliveries of a lane run at once, and how many start in a window."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson

from stepweave import payload
from stepweave.engine.delivery.event import Delivery
from stepweave.errors import InvalidInput
from stepweave.payload import Payload
from stepweave.ranked import Ranked
from stepweave.steps.model import Throttle

__all__ = ["Lane", "Lanes", "lane_of"]

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
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return repr(value)


class Lane:
    """`coming` were let go and have not begun yet, `begun` have and are not handed over yet;
    `starts` are times of the clock."""

    __slots__ = ("begun", "coming", "running", "starts", "timer", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.coming: set[Delivery] = set()
        self.begun = 0
        self.starts: deque[float] = deque()
        self.waiting: Ranked[Delivery] = Ranked()
        self.timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is known of it that counts."""
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
        self._lanes: dict[str, Lane] = {}
        self._tidy_at = _MANY

    @property
    def waiting(self) -> dict[str, int]:
        """How many wait, by lane."""
        return {name: len(lane.waiting) for name, lane in self._lanes.items() if lane.waiting}

    @property
    def idle(self) -> bool:
        """Whether nothing is under way in any lane, or waits."""
        return not any(
            lane.running or lane.coming or lane.begun or lane.waiting
            for lane in self._lanes.values()
        )

    def admit(self, name: str, delivery: Delivery) -> Lane | None:
        """The lane if the delivery may begin now; if not it waits for its turn."""
        lane = self._lane(name)
        if delivery in lane.coming:
            lane.coming.discard(delivery)
        elif lane.waiting or self._free(lane) <= 0:
            lane.waiting.append(delivery, delivery.priority)
            self._advance(lane)
            return None
        delivery.lane = lane
        lane.running += 1
        lane.begun += self.throttle.limit is not None
        return lane

    def start(self, lane: Lane) -> None:
        """A delivery that was admitted under a limit is handed to its runner now."""
        lane.begun -= 1
        lane.starts.append(self._clock())
        self._advance(lane)

    def enter(self, name: str, delivery: Delivery) -> None:
        """A delivery that runs already is in this lane, full or not."""
        delivery.lane = self._lane(name)
        delivery.lane.running += 1

    def recall(self, name: str, age_s: float) -> None:
        """A delivery started so long ago, in an earlier run of the program."""
        self._lane(name).starts.append(self._clock() - max(0.0, age_s))

    def finish(self, delivery: Delivery) -> None:
        """A delivery that was let go is over, or will be tried again later."""
        lane, delivery.lane = delivery.lane, None
        if lane is None:
            return
        if delivery in lane.coming:
            lane.coming.discard(delivery)
        else:
            lane.running -= 1
        self._advance(lane)

    def change(self, throttle: Throttle) -> None:
        """Take other limits; lanes are those that are known."""
        self.throttle = throttle
        for lane in list(self._lanes.values()):
            _unset(lane)
            self._advance(lane)

    def leave(self) -> list[Delivery]:
        """Give up what waits."""
        left: list[Delivery] = []
        for lane in self._lanes.values():
            left += lane.waiting.clear()
            _unset(lane)
        return left

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            if len(self._lanes) >= self._tidy_at:
                self._tidy()
            lane = self._lanes[name] = Lane()
        return lane

    def _tidy(self) -> None:
        for lane in self._lanes.values():
            self._expire(lane)
        self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.idle}
        self._tidy_at = max(_MANY, 2 * len(self._lanes))

    def _expire(self, lane: Lane) -> None:
        until = self._clock() - self.throttle.window_s
        while lane.starts and lane.starts[0] <= until:
            lane.starts.popleft()

    def _free(self, lane: Lane) -> int:
        """How many more may begin now."""
        throttle, free = self.throttle, 1 << 30
        if throttle.concurrency is not None:
            free = throttle.concurrency - lane.running - len(lane.coming)
        if throttle.limit is not None:
            self._expire(lane)
            used = len(lane.starts) + lane.begun + len(lane.coming)
            free = min(free, throttle.limit - used)
        return free

    def _advance(self, lane: Lane) -> None:
        """Let go as many as may begin; set a timer for the next start that leaves its window."""
        while lane.waiting and self._free(lane) > 0:
            delivery = lane.waiting.popleft()
            delivery.lane = lane
            lane.coming.add(delivery)
            self._release(delivery)
        if self.throttle.limit is None or lane.timer is not None:
            return
        if not lane.waiting or not lane.starts:
            return
        pause = lane.starts[0] + self.throttle.window_s - self._clock()

        def due() -> None:
            lane.timer = None
            self._advance(lane)

        lane.timer = asyncio.get_running_loop().call_later(max(0.0, pause), due)


def _unset(lane: Lane) -> None:
    if lane.timer is not None:
        lane.timer.cancel()
        lane.timer = None
