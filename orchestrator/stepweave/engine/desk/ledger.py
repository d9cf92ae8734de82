"""Deliveries that are not settled, as people see them: listed, shown, cancelled, counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Protocol

import orjson

from stepweave.calls import now_ms
from stepweave.engine import ids
from stepweave.engine.desk import show
from stepweave.engine.desk.asking import ask
from stepweave.engine.desk.queues import Key, Queues
from stepweave.engine.store.contract import DeadLetter, Done, Pending, Store, StoredEvent

__all__ = ["STATES", "Ledger"]

STATES = ("running", "waiting", "scheduled", "retrying", "held")
"""`held` waits for a dead letter of its group, `scheduled` for its time."""

_PAGE = 200
_MOST = 20_000
"""Deliveries that one listing looks through for those of a state."""


class Canceller(Protocol):
    """Takes deliveries away that have not begun: a Bus, or Offline."""

    def cancel_event(self, event: int, done: Done, step: str | None = None) -> None: ...
    def running(self) -> set[Key]: ...
    def statistics(self) -> dict[str, Any]: ...


class _Moment(NamedTuple):
    """What is known of deliveries besides what the store has: the same for a whole listing."""

    running: set[Key]
    held: set[tuple[str, str]]
    at: int

    def state(self, row: Pending) -> str:
        """One of STATES."""
        if (row.event, row.subscription) in self.running:
            return "running"
        if row.group is not None and (row.subscription, row.group) in self.held:
            return "held"
        if row.due_at > self.at:
            return "retrying" if row.attempt > 1 else "scheduled"
        return "waiting"


class Ledger:
    """What `stepweave events` and the JSON API do with deliveries; a change returns once it is
    on disk."""

    def __init__(self, store: Store, bus: Canceller) -> None:
        self._store = store
        self._bus = bus
        self._queues = Queues(store, bus)

    async def list(
        self,
        limit: int,
        before: Key | None = None,
        *,
        step: str | None = None,
        topic: str | None = None,
        state: str | None = None,
    ) -> tuple[list[dict[str, Any]], Key | None]:
        """Deliveries, newest event first, and where to go on, None at the end.

        A page may be short although there are more: of many deliveries few may be in a state.
        """
        rows: list[dict[str, Any]] = []
        seen, now = 0, self._now()
        if state == "running":
            found = self._that_run(before, step, topic)
        else:
            found = self._through(before, step, topic, limit if state is None else _PAGE)
        at = before
        async for row in found:
            seen += 1
            at = (row.event, row.subscription)
            its = now.state(row)
            if state in (None, its):
                rows.append(_row(row, its))
            if len(rows) == limit or seen == _MOST:
                break
        else:
            at = None
        return rows, at

    async def show(self, event: int) -> dict[str, Any] | None:
        """An event with what became of its deliveries; None when all of them are settled."""
        rows = [row async for row in self._of(event)]
        now = self._now()
        letters = await self._store.dead(1000, event=event)
        stored = await ask(lambda done: self._store.event(event, done))
        if stored is None and not letters:
            return None
        return {
            **_about(event, stored or letters[0]),
            "deliveries": [
                *(_delivery(row, now.state(row)) for row in rows),
                *map(_buried, letters),
            ],
        }

    async def cancel(self, event: int, step: str | None = None) -> dict[str, Any] | None:
        """Take away what has not begun; how many, and the steps in which it runs and goes on.

        None when nothing of it waits or runs.
        """
        count = await ask(lambda done: self._bus.cancel_event(event, done, step))
        running = sorted(
            name for id, name in self._bus.running() if id == event and step in (None, name)
        )
        if not count and not running:
            return None
        await self._store.sync(self._store.last_sequence)
        return {"event": ids.show(event), "cancelled": count, "running": running}

    async def cancel_all(self, step: str | None, topic: str | None) -> dict[str, int]:
        """Take away all that has not begun, of a step, of a topic or both; what comes later
        stays."""
        cancelled = running = 0
        before: Key | None = None
        while rows := await self._store.pending(_PAGE, before, step, topic):
            running += len({row[:2] for row in rows} & self._bus.running())
            for answer in await asyncio.gather(
                *(self.cancel(event, step) for event in {row.event for row in rows})
            ):
                cancelled += answer["cancelled"] if answer is not None else 0
            before = (rows[-1].event, rows[-1].subscription)
        return {"cancelled": cancelled, "running": running}

    def queues(self) -> dict[str, Any]:
        """What runs, waits, is delayed or held, per step and in all."""
        return self._queues.describe()

    async def _through(
        self, before: Key | None, step: str | None, topic: str | None, page: int
    ) -> AsyncIterator[Pending]:
        while rows := await self._store.pending(page, before, step, topic):
            for row in rows:
                yield row
            before = (rows[-1].event, rows[-1].subscription)

    async def _that_run(
        self, before: Key | None, step: str | None, topic: str | None
    ) -> AsyncIterator[Pending]:
        """Those that run, without looking through all that wait."""
        for key in sorted(self._bus.running(), reverse=True):
            if (before is None or key < before) and step in (None, key[1]):
                row = await self._next((key[0], f"{key[1]}\0"))
                if row is not None and row[:2] == key and topic in (None, row.topic):
                    yield row

    async def _of(self, event: int) -> AsyncIterator[Pending]:
        row = await self._next((event + 1, ""))
        while row is not None and row.event == event:
            yield row
            row = await self._next((row.event, row.subscription))

    async def _next(self, before: Key) -> Pending | None:
        return next(iter(await self._store.pending(1, before)), None)

    def _now(self) -> _Moment:
        return _Moment(self._bus.running(), self._queues.held(), now_ms())


def _row(row: Pending, state: str) -> dict[str, Any]:
    errors = orjson.loads(row.errors)
    return {
        "event": ids.show(row.event),
        **_head(row, state),
        "topic": row.topic,
        "source": row.source,
        "trace_id": row.trace.split("-")[1],
        "group": row.group,
        "at": row.at,
        "size": row.size,
        "data": show.start(row.data, 4096, row.size),
        "error": errors[-1] if errors else None,
    }


def _delivery(row: Pending, state: str) -> dict[str, Any]:
    return {**_head(row, state), "errors": orjson.loads(row.errors)}


def _head(row: Pending, state: str) -> dict[str, Any]:
    return {
        "step": row.subscription,
        "state": state,
        "attempt": row.attempt,
        "due_at": row.due_at,
        "priority": row.priority,
    }


def _about(id: int, event: StoredEvent | DeadLetter) -> dict[str, Any]:
    return {
        "event": ids.show(id),
        "topic": event.topic,
        "source": event.source,
        "trace_id": event.trace.split("-")[1],
        "group": event.group,
        "at": event.event_at if isinstance(event, DeadLetter) else event.at,
        **show.whole(event.data, "data"),
    }


def _buried(letter: DeadLetter) -> dict[str, Any]:
    return {
        "step": letter.subscription,
        "state": "dead",
        "dead": letter.id,
        "attempt": letter.attempts,
        "reason": letter.reason,
        "died_at": letter.at,
        "holds": bool(letter.holds),
        "errors": orjson.loads(letter.errors),
    }
