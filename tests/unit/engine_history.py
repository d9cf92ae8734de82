"""Random histories of a bus, each made from a seed, and what must be true of any of them."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepweave import payload
from stepweave.calls import Call, Outcome, now_ms
from stepweave.engine import ids
from stepweave.engine.state import State
from stepweave.engine.store.writer import Unit
from stepweave.errors import StepweaveError
from stepweave.steps.model import Backoff, Batch, Step, Throttle
from stepweave.trace import format_traceparent, new_span_id, new_trace_id
from tests.unit.engine_kit import LOST, OK, Rig, failed, step

TOPICS = {"A": ("one",), "B": ("one", "two"), "C": ("two", "three")}
ATOMIC = "C"
RETRIES = 2
ONE_MORE = [{"op": "increment", "path": ["n"]}]


def _error(code: str) -> Outcome:
    return Outcome("error", None, {"code": code, "message": code})


NOT_OK = [
    failed(),
    failed(),
    LOST,
    Outcome("timeout", None, {"code": "timeout", "message": "late"}),
    _error("busy"),
    _error("stale_revision"),
]


class History:
    """A bus to which random things happen.

    In half of them the options of the steps stay as they are (`fixed`), and order and limits are
    checked strictly; in the others they change at any moment, and nothing may be lost by that.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.fixed = self.random.random() < 0.5
        self.refusing = 0.0
        self.calm = False
        self.steps = {name: self._step(name) for name in TOPICS}
        self.loaded = set(TOPICS)
        self.open: list[Call] = []
        self.events: dict[int, str | None] = {}
        """Groups of the events that were accepted, or may have been."""
        self.expected: set[tuple[int, str]] = set()
        self.cancelled: set[int] = set()
        self.anew: set[int] = set()
        """Events that were dead letters."""
        self.buried: set[tuple[int, str]] = set()
        self.done: list[tuple[int, str]] = []
        self.lost: Counter[tuple[int, str]] = Counter()
        self.rig = self._rig()

    # --- what it is made of

    def _step(self, name: str) -> Step:
        pick = self.random.choice
        fifo = pick((True, False))
        throttle = pick((
            None, None, Throttle(("k",), concurrency=1), Throttle(limit=3, window_s=0.004),
            Throttle(("k",), concurrency=2, limit=3, window_s=0.004),
        ))  # fmt: skip
        batch = None if fifo or throttle else pick((None, Batch(3), Batch(4, wait_s=0.002)))
        made = step(
            name,
            TOPICS[name],
            type="fifo" if fifo else "standard",
            on_dead_letter=pick(("wait", "continue")),
            throttle=throttle,
            batch=batch,
            concurrency=pick((1, 2, 5)),
            priority=pick((0, 0, 3)),
            delay_s=pick((0.0, 0.0, 0.0, 0.002)),
            max_retries=RETRIES,
            backoff=Backoff(base_s=0.001, max_s=0.002),
        )
        return replace(made, atomic=name == ATOMIC)

    def _rig(self) -> Rig:
        rig = Rig(self.folder, *(self.steps[name] for name in sorted(self.loaded)))
        rig.bus.recover()
        write = rig.store._writer._transaction

        def transaction(units: list[Unit]) -> None:
            full = self.random.random() < self.refusing
            if full and any(unit.operations for unit in units):
                raise sqlite3.OperationalError("database or disk is full")
            write(units)

        rig.store._writer._transaction = transaction  # type: ignore[method-assign]
        for name in TOPICS:
            rig.handler(name, lambda call: self._handle(rig, call))
        return rig

    # --- its handlers

    def _handle(self, rig: Rig, call: Call) -> Outcome | None:
        if rig is not self.rig:
            return None
        self.check_start(call)
        if self.random.random() < 0.3:
            self._emit(call)
        if call.transaction is not None:
            for event in _events(call):
                State(rig.store).update(
                    call, "n", ids.show(event), ONE_MORE, expect=None, done=_ignore
                )
        if not self.calm and self.random.random() < 0.25:
            self.open.append(call)
            return None
        return self._outcome(call)

    def _outcome(self, call: Call) -> Outcome:
        outcome = OK
        if not self.calm and self.random.random() < 0.4:
            outcome = self.random.choice(NOT_OK)
        for event in _events(call):
            if outcome is OK:
                self.done.append((event, call.step.name))
            elif outcome is LOST:
                self.lost[event, call.step.name] += 1
        return outcome

    def _emit(self, call: Call) -> None:
        if call.step.name == ATOMIC and not self.calm:
            return
        if call.step.name == "A" and not self.calm:
            self.publish("three", call=call)

    # --- what happens

    def publish(self, topic: str | None = None, call: Call | None = None) -> None:
        pick, rig = self.random.choice, self.rig
        topic = topic or pick(("one", "two", "three"))
        group = pick((None, "g", "h"))
        more: dict[str, Any] = {
            "group": group,
            "priority": pick((None, None, 5, -5)),
            "due_at": pick((None, None, None, now_ms() + 3)),
            "event_key": pick((None, None, None, f"key{self.random.randrange(20)}")),
        }
        body = payload.encode({"k": pick(("x", "y"))})
        names = [name for name in self.loaded if topic in TOPICS[name]]

        def done(error: StepweaveError | None, event: Any) -> None:
            if error is None and event == shown:
                self.expected.update((ids.read(event), name) for name in names)

        if call is not None:
            trace = call.traceparent
        else:
            trace = format_traceparent(new_trace_id(), new_span_id())
        shown = rig.bus.publish(topic, body, trace=trace, source="test", done=done, **more)
        self.events[ids.read(shown)] = group

    def reload(self) -> None:
        names = list(TOPICS)
        self.loaded = {name for name in names if self.random.random() < 0.8}
        if not self.fixed:
            self.steps[self.random.choice(names)] = self._step(self.random.choice(names))
            self.steps = {name: replace(made, name=name) for name, made in self.steps.items()}
            for name in names:
                self.steps[name] = replace(
                    self.steps[name], subscribes=TOPICS[name], atomic=name == ATOMIC
                )
        self.subscribe()

    def subscribe(self) -> None:
        self.rig.bus.subscribe([self.steps[name] for name in sorted(self.loaded)])

    def end_one(self) -> None:
        if self.open:
            call = self.open.pop(self.random.randrange(len(self.open)))
            call.finish(self._outcome(call))

    def cancel(self) -> None:
        if self.events:
            event = self.random.choice(list(self.events))
            self.cancelled.add(event)
            only = self.random.choice((None, None, *TOPICS))
            self.rig.bus.cancel_event(event, _ignore, only)

    async def letters(self, chance: float = 0.5) -> None:
        for letter in await self.rig.store.dead():
            self.buried.add((letter.event, letter.subscription))
            if self.random.random() >= chance:
                continue
            if self.calm or self.random.random() < 0.4:
                self.rig.bus.discard(letter.id, _ignore)
            else:
                self.rig.bus.redrive(letter.id, self._redriven(letter.subscription, letter.group))

    def _redriven(self, name: str, group: str | None) -> Any:
        def done(_error: StepweaveError | None, event: Any) -> None:
            if event is not None:
                id = ids.read(event)
                self.events[id] = group
                self.expected.add((id, name))
                self.anew.add(id)

        return done

    async def restart(self) -> None:
        """As after a crash: what runs never ends, and what is on its way is not written."""
        self.refusing = 0.0
        await self.letters(0)
        rig = self.rig
        rig.bus.stop()
        self.open.clear()
        if rig.store._tick and self.random.random() < 0.5:
            rig.store._tick[:] = [Unit(rig.store._sequence, (), None)]
        self.rig = None  # type: ignore[assignment]
        await rig.store.close()
        self.rig = self._rig()

    async def run(self) -> None:
        """Let things happen, then let all of it end, and check what is left."""
        for _ in range(self.random.randrange(10, 60)):
            chance = self.random.random()
            if chance < 0.45:
                self.publish()
            elif chance < 0.6:
                self.end_one()
            elif chance < 0.68:
                self.reload()
            elif chance < 0.76:
                self.cancel()
            elif chance < 0.8:
                await self.letters()
            elif chance < 0.82:
                await self.restart()
            elif chance < 0.86:
                self.refusing = self.random.choice((0.0, 0.5))
            else:
                await asyncio.sleep(self.random.choice((0, 0, 0.001, 0.003)))
        await self.finish()

    async def finish(self) -> None:
        """Let all end well."""
        self.calm, self.refusing, self.loaded = True, 0.0, set(TOPICS)
        self.subscribe()
        await self.rig.store.apply(())
        async with asyncio.timeout(60):
            while self.rig.bus.waiting or self._unfinished() or await self.rig.store.dead():
                while self.open:
                    self.end_one()
                await self.letters(1)
                await asyncio.sleep(0.001)
        await self.letters(0)
        self.check_end()

    def _unfinished(self) -> bool:
        """Whether something is still to be noted, or to leave memory: what was cancelled between
        two tries is met when the pause is over."""
        dispatcher = self.rig.bus._dispatcher
        return bool(dispatcher._records.unrecorded or dispatcher._delays or dispatcher._cancelled)

    # --- what must be true

    def check_start(self, call: Call) -> None:
        """What holds whenever a call begins."""
        name = call.step.name
        subscription = self.rig.bus._dispatcher._subscriptions.get(name)
        for event in _events(call):
            most = RETRIES + 1 + (self.lost[event, name] > 0)
            assert call.attempt <= most or "batch" in call.input or len(_events(call)) > 1
        if not self.fixed or subscription is None:
            return
        assert subscription.running <= (call.step.infrastructure.queue.concurrency or 64)  # type: ignore[attr-defined]
        lanes = subscription.lanes
        for lane in lanes._lanes.values() if lanes is not None else ():
            most = lanes.throttle.concurrency or 1 << 30
            assert lane.running + len(lane.coming) <= most
            limit = lanes.throttle.limit
            if limit is not None:
                lanes._expire(lane)
                assert len(lane.starts) + lane.begun + len(lane.coming) <= limit
        if not subscription.fifo:
            return
        (event,) = _events(call)
        group = self.events.get(event)
        if group is None:
            return
        under_way = [
            each
            for each in subscription.active
            if each.event.group == group and each.event.id != event
        ]
        assert not under_way, "two of a group at once"
        if event not in self.anew:
            later = [
                other
                for other, step_name in self.done
                if step_name == name
                and other > event
                and other not in self.anew
                and self.events.get(other) == group
            ]
            assert not later, f"{event} began after {later} of its group"
        if subscription.holds:
            held = (name, group) in set(self.rig.store.held())
            assert not held, "a held group goes on"

    def check_end(self) -> None:
        """What holds when nothing is left to do."""
        rig = self.rig
        read = rig.store._read.execute
        rows = read("SELECT event, subscription, attempt FROM deliveries").fetchall()
        assert not rows, f"still in the store: {rows}"
        left = read("SELECT id, topic FROM events").fetchall()
        assert not left, f"events without deliveries: {left}"
        over = {*self.done, *self.buried}
        missing = {key for key in self.expected - over if key[0] not in self.cancelled}
        assert not missing, f"lost: {missing}"
        self._check_effects()
        self._check_memory()

    def _check_effects(self) -> None:
        """Atomic steps have written once for each event that they handled."""
        rows = self.rig.store._read.execute("SELECT key, value FROM state WHERE grp='n'")
        counts = {key: payload.decode(("json", value))["n"] for key, value in rows}
        assert not {key: count for key, count in counts.items() if count != 1}
        for event, name in self.expected:
            over = event in self.cancelled or (event, name) in self.buried
            if name == ATOMIC and not over:
                assert ids.show(event) in counts

    def _check_memory(self) -> None:
        dispatcher = self.rig.bus._dispatcher
        assert not len(dispatcher._delays)
        assert not dispatcher._cancelled
        assert not dispatcher._parked
        assert not self.rig.invoker._locks._owners
        assert not self.rig.invoker._locks._waiting
        assert dispatcher._bodies.size == 0
        for subscription in dispatcher._all():
            assert not (subscription.active or subscription.running or subscription.queued)
            assert not subscription._groups._groups
            assert not subscription.held
            assert subscription.lanes is None or subscription.lanes.idle


def _events(call: Call) -> list[int]:
    many = call.input.get("events")
    shown = [each["event"] for each in many] if many else [call.input["event"]]
    return [ids.read(each) for each in shown]


def _ignore(_error: Any, _result: Any) -> None:
    pass
