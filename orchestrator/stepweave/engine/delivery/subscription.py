"""The queue of one subscribing step: what waits, what runs, and in which order."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from stepweave.calls import now_ms
from stepweave.engine.delivery.event import Delivery
from stepweave.engine.delivery.gathering import Gathering
from stepweave.engine.delivery.groups import Groups
from stepweave.engine.delivery.lanes import Lanes, lane_of
from stepweave.engine.delivery.ready import Ready, entry
from stepweave.errors import StoreFailed
from stepweave.steps.model import Batch, Step, Throttle

__all__ = ["Port", "Subscription"]

_UNREADABLE_S = 1.0


class Port(Protocol):
    """What a subscription needs of the others."""

    def begin(self, subscription: Subscription, delivery: Delivery) -> None:
        """Run a delivery whose turn it is."""

    def begin_batch(self, subscription: Subscription, deliveries: list[Delivery]) -> None:
        """Run deliveries together."""

    def delay(self, delivery: Delivery) -> None:
        """Hold a delivery until it is due; it comes back through `release`."""

    def load(self, subscription: Subscription, numbers: list[int]) -> list[Delivery]:
        """Make deliveries of backlog entries. Raises StoreFailed."""
        ...

    def unreadable(self, error: StoreFailed) -> None:
        """Tell that waiting deliveries cannot be read at present."""


class Subscription:
    """Starts deliveries through its port, at most `concurrency` at once.

    In a FIFO step one delivery of each message group is under way at a time; while it runs or
    waits for its next try, the later ones of its group stay behind it, and a group that a dead
    letter holds stays until `lead` or `let_go`. Each delivery that was begun is given back with
    `over`, and each call with `free`. Deliveries are stored under `name`, the step's, and each
    is held back for `delay_ms` first. It outlives the absence of its step, `paused`.
    """

    __slots__ = (
        "_batch",
        "_concurrency",
        "_gathering",
        "_groups",
        "_in_turn",
        "_port",
        "_ready",
        "_starting",
        "_timer",
        "_unsorted",
        "active",
        "delay_ms",
        "fifo",
        "held",
        "holds",
        "lanes",
        "name",
        "paused",
        "priority",
        "running",
        "step",
    )

    def __init__(self, step: Step, concurrency: int, port: Port, held: dict[str, int]) -> None:
        self._port = port
        self._ready = Ready(lambda numbers: port.load(self, numbers))
        self._gathering = Gathering(self._ready)
        self._groups = Groups(lambda numbers: port.load(self, numbers))
        self._starting = False
        self._unsorted = False
        self._timer: asyncio.TimerHandle | None = None
        self._in_turn = False
        """Whether this is a turn that batches begin in."""
        self.lanes: Lanes | None = None
        self.active: set[Delivery] = set()
        """Deliveries that were begun."""
        self.running = 0
        """Calls that run: deliveries, or batches of them."""
        self.held = held
        """How many dead letters hold a group, by group."""
        self.paused = True
        self.fifo = False
        """Whether order counts."""
        self.holds = False
        """Whether a dead letter holds its group."""
        self.change(step, concurrency)
        self.paused = False

    @property
    def queued(self) -> int:
        """Deliveries that are ready, behind another of their group, or in wait for their lane."""
        lanes = sum(self.lanes.waiting.values()) if self.lanes is not None else 0
        return len(self._ready) + len(self._groups) + lanes

    @property
    def busy(self) -> bool:
        """Whether anything runs or could run now."""
        return bool(self.running or self._ready)

    # --- its step

    def change(self, step: Step, concurrency: int) -> None:
        """Take a new revision of the step, and begin what may begin under it."""
        queue = step.infrastructure.queue
        self.step = step
        self.name = step.name
        self.delay_ms = int(queue.delay_s * 1000)
        self.priority = queue.priority
        self._batch = queue.batch
        self._concurrency = queue.concurrency or concurrency
        self._throttle(queue.throttle)
        was_fifo, self.fifo = self.fifo, queue.type == "fifo"
        held_before, self.holds = self.holds, self.fifo and queue.on_dead_letter == "wait"
        if self.fifo and not was_fifo:
            self._put_in_order()
        elif was_fifo and not self.fifo:
            self._give_up_order()
        elif held_before and not self.holds:
            for group in list(self.held):
                self.let_go(group)
        self.start()

    def _throttle(self, throttle: Throttle | None) -> None:
        before = self.lanes
        if before is not None and throttle is not None and before.throttle.key == throttle.key:
            before.change(throttle)
            return
        self.lanes = None if throttle is None else Lanes(throttle, self._ahead)
        for delivery in self.active:
            delivery.lane = None
            if self.lanes is not None and delivery.event.loaded:
                self.lanes.enter(lane_of(self.lanes.throttle, delivery.event.data), delivery)
        for delivery in before.leave() if before is not None else ():
            self._ready.append(delivery)

    def _put_in_order(self) -> None:
        """Order counts from now on: of each group the oldest leads, those that run first."""
        for delivery in sorted(self.active, key=_rank):
            if delivery.event.group is not None:
                self._claim(delivery.event.group, delivery)
        waiting, self._ready.backlog = self._ready.clear()
        # Entries say nothing of their groups: as long as there are any, what comes goes behind.
        self._unsorted = len(self._ready.backlog) > 0
        if self.lanes is not None:
            waiting += self.lanes.leave()
            for delivery in waiting:
                self.lanes.finish(delivery)
        for delivery in sorted(waiting, key=_rank):
            if self._leads(delivery):
                self._ready.append(delivery)

    def _give_up_order(self) -> None:
        now = now_ms()
        for each in self._groups.clear():
            if not isinstance(each, Delivery):
                self._ready.backlog.push(each)
            elif each.due_at > now:
                self._port.delay(each)
            else:
                self._ready.append(each)

    # --- what comes

    def add(self, delivery: Delivery) -> bool:
        """Queue a delivery that is due; False if only its entry is kept, not the object."""
        group = delivery.event.group
        if group is not None and self.fifo:
            if self._unsorted and len(self._ready.backlog):
                self._ready.backlog.push(entry(delivery))
                return False
            if not self._claim(group, delivery):
                compact = self._groups.full and delivery.plain
                self._groups.wait(group, entry(delivery) if compact else delivery)
                return not compact
        elif self._ready.full and delivery.plain:
            self._ready.backlog.push(entry(delivery))
            return False
        self._queue(delivery)
        return True

    def add_entry(self, number: int) -> None:
        """Queue a plain delivery that is in the store, by its entry; see `start`."""
        self._ready.backlog.push(number)

    def hold(self, delivery: Delivery) -> bool:
        """Note a delivery that is not due yet; False when it waits behind its group instead."""
        if self._unsorted and len(self._ready.backlog):
            return True
        return self._leads(delivery)

    def release(self, delivery: Delivery) -> None:
        """Queue a delivery that was held or is tried again, ahead of its group."""
        if self._leads(delivery):
            self._queue(delivery)

    def lead(self, delivery: Delivery) -> None:
        """Run a delivery ahead of its group, which a dead letter held."""
        group = delivery.event.group
        if group is None or not self.fifo or self._groups.lead(group, delivery):
            self._queue(delivery)

    def _queue(self, delivery: Delivery) -> None:
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
            self._gathering.anew()
            self._ready.append(delivery)
            self.start()

    # --- order

    def _claim(self, group: str, delivery: Delivery) -> bool:
        held = self.holds and group in self.held
        return self._groups.claim(group, delivery, held=held)

    def _leads(self, delivery: Delivery) -> bool:
        """Whether order lets a delivery go; if not it waits behind its group from now on."""
        group = delivery.event.group
        if group is None or not self.fifo or self._claim(group, delivery):
            return True
        self._groups.wait(group, delivery)
        return False

    def _advance(self, group: str) -> None:
        """The leader of a group is over: the next one leads, unless a dead letter holds it."""
        if self.holds and group in self.held:
            self._groups.hold(group)
            return
        try:
            following = self._groups.next(group)
        except StoreFailed as error:
            self._port.unreadable(error)
            asyncio.get_running_loop().call_later(_UNREADABLE_S, self.let_go, group)
            return
        if following is None:
            return
        if following.due_at > now_ms():
            self._port.delay(following)
        else:
            self._ready.append(following)
            self.start()

    def let_go(self, group: str) -> None:
        """What kept the next of a group from leading is no more."""
        if self.fifo and self._groups.leader(group) is None:
            self._advance(group)

    # --- what ends

    def over(self, delivery: Delivery, *, keep: bool = False) -> None:
        """A delivery is over, or will come back (`keep`) while its group waits for it."""
        self.active.discard(delivery)
        if delivery.lane is not None:
            if self.lanes is not None:
                self.lanes.finish(delivery)
            delivery.lane = None
        group = delivery.event.group
        if not keep and group is not None and self.fifo:
            if self._groups.leader(group) is delivery:
                self._advance(group)

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

    # --- what begins

    def start(self) -> None:
        """Begin what may begin now."""
        if self._starting or self.paused:
            return
        self._starting = True
        try:
            if self._batch is None:
                while self._ready and self.running < self._concurrency and not self.paused:
                    delivery = self._ready.pop()
                    if delivery is None:
                        break
                    if self._leads(delivery):
                        self._begin(delivery)
            else:
                self._start_batches(self._batch)
        except StoreFailed as error:
            self._port.unreadable(error)
            self._later(_UNREADABLE_S)
        finally:
            self._starting = False

    def _begin(self, delivery: Delivery) -> None:
        self.running += 1
        self.active.add(delivery)
        self._port.begin(self, delivery)

    def _start_batches(self, batch: Batch) -> None:
        """Begin batches that are full or whose first delivery has waited long enough."""
        while self._ready and self.running < self._concurrency and not self.paused:
            pause = self._gathering.pause_s(batch)
            if pause or not (self._in_turn or len(self._ready) >= batch.size):
                # Without a pause, too: the rest of a commit comes in this turn of the loop.
                self._later(pause)
                return
            taken = self._gathering.take(batch)
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
        self._in_turn = True
        try:
            self.start()
        finally:
            self._in_turn = False

    def _ahead(self, delivery: Delivery) -> None:
        """Queue a delivery whose lane lets it go."""
        self._ready.put_back([delivery])
        # Its lane may be in the middle of counting: begin in a turn of its own.
        asyncio.get_running_loop().call_soon(self.start)

    def describe(self) -> dict[str, Any]:
        """What runs and waits, for people."""
        described: dict[str, Any] = {"running": len(self.active), "waiting": self.queued}
        if self.held and self.holds:
            described["held"] = {group: self._groups.behind(group) for group in sorted(self.held)}
        if self.lanes is not None:
            described["lanes"] = self.lanes.waiting
        return described


def _rank(delivery: Delivery) -> int:
    return delivery.rank
