"""The queue of one subscribing step: what waits, what runs, and in which order."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from stepweave.engine.delivery import Delivery
from stepweave.engine.groups import Groups
from stepweave.engine.lanes import Lanes
from stepweave.engine.ready import Backlog, Ready, entry
from stepweave.errors import StoreFailed
from stepweave.steps.model import Step

__all__ = ["Left", "Port", "Subscription"]

_UNREADABLE_S = 1.0


class Port(Protocol):
    """The dispatcher, as its subscriptions see it."""

    def begin(self, subscription: Subscription, delivery: Delivery) -> None:
        """Run a delivery whose turn it is."""

    def begin_batch(self, subscription: Subscription, deliveries: list[Delivery]) -> None:
        """Run deliveries together."""

    def load(self, subscription: Subscription, numbers: list[int]) -> list[Delivery]:
        """Make deliveries of backlog entries. Raises StoreFailed."""
        ...

    def unreadable(self, error: StoreFailed) -> None:
        """Tell that waiting deliveries cannot be read at present."""


class Left:
    """What a step leaves behind when it goes: its deliveries, and a backlog of plain ones."""

    __slots__ = ("backlog", "deliveries")

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.backlog = Backlog()

    def __len__(self) -> int:
        return len(self.deliveries) + len(self.backlog)


class Subscription:
    """Starts deliveries through its port, at most `concurrency` at once.

    In a FIFO step one delivery of each message group is under way at a time; while it runs or
    waits for its next try, the later ones of its group stay behind it, and a group that a dead
    letter holds stays until `lead` or `advance`. Each delivery that was begun comes back through
    `finish` or `retry`, a batch through `free`. Deliveries are stored under `name`, the step's,
    and each is held back for `delay_ms` first.
    """

    __slots__ = (
        "_batch",
        "_concurrency",
        "_first_at",
        "_groups",
        "_port",
        "_ready",
        "_starting",
        "_timer",
        "active",
        "delay_ms",
        "held",
        "lanes",
        "name",
        "paused",
        "priority",
        "running",
        "step",
    )

    def __init__(self, step: Step, concurrency: int, port: Port, held: set[str]) -> None:
        self._port = port
        self._ready = Ready(lambda numbers: port.load(self, numbers))
        self._groups = Groups(lambda numbers: port.load(self, numbers))
        self._starting = False
        self._first_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.lanes: Lanes | None = None
        self.active: set[Delivery] = set()
        """Deliveries that were begun."""
        self.running = 0
        """Calls that run: deliveries, or batches of them."""
        self.held = held
        """Groups that a dead letter holds."""
        self.paused = False
        self.change(step, concurrency)
        if self.holds:
            for group in held:
                self._groups.hold(group)

    @property
    def queued(self) -> int:
        """Deliveries that are ready, behind another of their group, or in wait for their lane."""
        lanes = sum(self.lanes.waiting.values()) if self.lanes is not None else 0
        return len(self._ready) + len(self._groups) + lanes

    @property
    def busy(self) -> bool:
        """Whether anything runs or could run now."""
        return bool(self.running or self._ready)

    @property
    def fifo(self) -> bool:
        """Whether order counts."""
        return self.step.infrastructure.queue.type == "fifo"

    @property
    def holds(self) -> bool:
        """Whether a dead letter holds its group."""
        return self.fifo and self.step.infrastructure.queue.on_dead_letter == "wait"

    def behind(self, group: str) -> int:
        """How many wait behind the leader of a group."""
        return self._groups.behind(group)

    def change(self, step: Step, concurrency: int) -> None:
        """Take a new revision of the step."""
        queue = step.infrastructure.queue
        self.step = step
        self.name = step.name
        self.delay_ms = int(queue.delay_s * 1000)
        self.priority = queue.priority
        self._batch = queue.batch
        self._concurrency = queue.concurrency or concurrency
        lanes, throttle = self.lanes, queue.throttle
        if throttle is None or (lanes is not None and lanes.throttle.key != throttle.key):
            self.lanes = None
        if lanes is not None and self.lanes is None:
            for delivery in self.active:
                delivery.lane = None
            for delivery in lanes.leave():
                self._ready.append(delivery)
        if throttle is not None:
            if self.lanes is None:
                self.lanes = Lanes(throttle, self._ahead)
            else:
                self.lanes.change(throttle)

    def add(self, delivery: Delivery) -> bool:
        """Queue a delivery that is due; False if only its entry is kept, not the object."""
        if self.fifo and delivery.event.group is not None:
            leader = self._groups.claim(delivery.event.group, delivery)
            if leader is not None:
                self.release(leader)
            return True
        if self._ready.full and delivery.plain:
            self._ready.backlog.push(entry(delivery))
            return False
        self.release(delivery)
        return True

    def add_entry(self, number: int) -> None:
        """Queue a plain delivery that is in the store, by its entry; see `start`."""
        self._ready.backlog.push(number)

    def hold(self, delivery: Delivery) -> bool:
        """Note a delivery that is not due yet; False when it waits behind its group instead."""
        if not self.fifo or delivery.event.group is None:
            return True
        return self._groups.claim(delivery.event.group, delivery) is not None

    def release(self, delivery: Delivery) -> None:
        """Queue a delivery that was held or is tried again, ahead of its group."""
        if self._ready:
            self._ready.append(delivery)
            self.start()
        elif (
            self._batch is None
            and self.running < self._concurrency
            and not self.paused
            and not self._starting
        ):
            # Nothing waits and there is room, as for most: the queue would only cost time.
            self._starting = True
            try:
                self._begin(delivery)
            finally:
                self._starting = False
            if self._ready:
                self.start()
        else:
            self._first_at = None
            self._ready.append(delivery)
            self.start()

    def keep(self, group: str) -> None:
        """Let nothing of a group start: a dead letter of an earlier run holds it."""
        if self.holds:
            self._groups.hold(group)

    def lead(self, delivery: Delivery) -> None:
        """Run a delivery at the head of its group, which a dead letter held."""
        assert delivery.event.group is not None
        self._groups.hold(delivery.event.group)
        self.release(delivery)

    def finish(self, delivery: Delivery, *, keep: bool = False, hold: bool = False) -> None:
        """A delivery is over; the next of its group may start unless it is kept for later or
        holds its group."""
        self.over(delivery, keep=keep or hold)
        self.free()

    def retry(self, delivery: Delivery) -> None:
        """A delivery will come back through `release`; its group waits for it."""
        self.over(delivery, keep=True)
        self.free()

    def over(self, delivery: Delivery, *, keep: bool = False) -> None:
        """One of a batch is over, or one that was never begun; see `finish`."""
        self.active.discard(delivery)
        if delivery.lane is not None and self.lanes is not None:
            self.lanes.finish(delivery)
        group = delivery.event.group
        if not keep and group is not None and self.fifo:
            self.advance(group)

    def advance(self, group: str) -> None:
        """Let the next of a group start."""
        try:
            following = self._groups.next(group)
        except StoreFailed as error:
            self._port.unreadable(error)
            asyncio.get_running_loop().call_later(_UNREADABLE_S, self.advance, group)
            return
        if following is not None:
            self._ready.append(following)
            self.start()

    def free(self) -> None:
        """A call has ended: another may start."""
        self.running -= 1
        if self._ready:
            self.start()

    def wait(self, delivery: Delivery) -> None:
        """A delivery that was begun waits for its lane; see `Lanes.admit`."""
        self.active.discard(delivery)
        self.free()

    def put_back(self, deliveries: list[Delivery]) -> None:
        """Deliveries of a batch that do not fit into it go into the next one."""
        self.active.difference_update(deliveries)
        self._ready.put_back(deliveries)

    def leave(self) -> Left:
        """Give up what has not started; the step is gone."""
        self.paused = True
        left = Left()
        deliveries, left.backlog = self._ready.clear()
        for each in self._groups.leave():
            if isinstance(each, Delivery):
                deliveries.append(each)
            else:
                left.backlog.push(each)
        if self.lanes is not None:
            deliveries.extend(self.lanes.leave())
        left.deliveries = sorted(deliveries, key=lambda delivery: delivery.rank)
        return left

    def start(self) -> None:
        """Begin what may begin now."""
        if self._starting:
            return
        self._starting = True
        try:
            if self._batch is None:
                while self._ready and self.running < self._concurrency and not self.paused:
                    delivery = self._ready.pop()
                    if delivery is None:
                        break
                    self._begin(delivery)
            else:
                self._start_batches()
        except StoreFailed as error:
            self._port.unreadable(error)
            self._later(_UNREADABLE_S)
        finally:
            self._starting = False

    def _begin(self, delivery: Delivery) -> None:
        self.running += 1
        self.active.add(delivery)
        self._port.begin(self, delivery)

    def _start_batches(self) -> None:
        """Begin batches that are full or whose first delivery has waited long enough."""
        batch = self._batch
        assert batch is not None
        while self._ready and self.running < self._concurrency and not self.paused:
            if len(self._ready) < batch.size and batch.wait_s:
                now = asyncio.get_running_loop().time()
                if self._first_at is None:
                    self._first_at = now
                pause = self._first_at + batch.wait_s - now
                if pause > 0:
                    self._later(pause)
                    return
            self._first_at = None
            taken: list[Delivery] = []
            while self._ready and len(taken) < batch.size:
                delivery = self._ready.pop()
                if delivery is None:
                    break
                if delivery.deaths and taken:
                    self._ready.put_back([delivery])
                    break
                taken.append(delivery)
                if delivery.deaths:
                    break
            if not taken:
                return
            self.running += 1
            self.active.update(taken)
            self._port.begin_batch(self, taken)

    def _later(self, pause_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self.start()

    def _ahead(self, delivery: Delivery) -> None:
        """Queue a delivery whose lane lets it go."""
        self._ready.put_back([delivery])
        # Its lane may be in the middle of counting: begin in a turn of its own.
        asyncio.get_running_loop().call_soon(self.start)

    def describe(self) -> dict[str, Any]:
        """What runs and waits, for people."""
        described: dict[str, Any] = {"running": len(self.active), "waiting": self.queued}
        if self.held and self.holds:
            described["held"] = {group: self.behind(group) for group in sorted(self.held)}
        if self.lanes is not None:
            described["lanes"] = self.lanes.waiting
        return described
