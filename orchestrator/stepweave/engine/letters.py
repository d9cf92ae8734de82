"""The dead letters as people see them: listed, shown in full, delivered anew, discarded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import orjson

from stepweave.calls import now_ms
from stepweave.engine import ids, show
from stepweave.engine.store.contract import DeadLetter, Done, Store
from stepweave.engine.store.operations import Discard, Redrive
from stepweave.errors import StepweaveError
from stepweave.payload import Payload

__all__ = ["Edit", "Letters", "Redriver", "recorder"]

Edit = tuple[Payload | None] | None
"""A 1-tuple of what to deliver instead of a letter's own data, or None to leave it."""

_T = TypeVar("_T")

_PREVIEW = 4096
_PAGE = 100


class Redriver(Protocol):
    """Delivers a dead letter anew: Bus.redrive, or what `recorder` makes."""

    def __call__(self, dead: int, done: Done, data: Edit = None) -> None: ...


class Letters:
    """What `stepweave events` and the JSON API do; each call returns once it is on disk."""

    def __init__(self, store: Store, redrive: Redriver) -> None:
        self._store = store
        self._redrive = redrive

    async def list(
        self, limit: int, before: int | None = None, step: str | None = None
    ) -> list[dict[str, Any]]:
        """Dead letters, newest first, with the start of their data as text."""
        found = await self._store.dead(limit, before, step)
        return [{**_head(letter), "data": show.start(letter.data, _PREVIEW)} for letter in found]

    async def show(self, id: int) -> dict[str, Any] | None:
        """All of a dead letter, its data decoded, its error with stack and frames."""
        letter = await self._store.letter(id)
        if letter is None:
            return None
        return {
            **_head(letter),
            "source": letter.source,
            "errors": orjson.loads(letter.errors),
            "event_at": letter.event_at,
            **show.whole(letter.data, "data"),
        }

    async def retry(self, id: int, edit: Edit = None) -> str | None:
        """Deliver it as a new event; that event's id, None if there is no such letter."""
        event: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

        def done(error: StepweaveError | None, result: Any) -> None:
            if event.done():
                return
            if error is not None:
                event.set_exception(error)
            else:
                event.set_result(result)

        self._redrive(id, done, edit)
        return await self._durable(event)

    async def retry_all(self, step: str | None = None) -> int:
        """Deliver every dead letter, or those of one step; how many. Later ones stay."""
        return await self._each(step, self.retry)

    async def discard(self, id: int) -> bool:
        """Forget it; whether it was there."""
        (gone,) = await self._durable(self._store.apply((Discard(id),)))
        return bool(gone)

    async def discard_all(self, step: str | None = None) -> int:
        """Forget every dead letter, or those of one step; how many."""
        return await self._each(step, self.discard)

    async def _each(self, step: str | None, act: Callable[[int], Awaitable[Any]]) -> int:
        count, before = 0, None
        while page := await self._store.dead(_PAGE, before, step):
            results = await asyncio.gather(*(act(letter.id) for letter in page))
            count += sum(map(bool, results))
            before = page[-1].id
        return count

    async def _durable(self, work: Awaitable[_T]) -> _T:
        result = await work
        await self._store.sync(self._store.last_sequence)
        return result


def recorder(store: Store) -> Redriver:
    """Delivers through the store alone: the next start takes the delivery up."""
    event_ids = ids.EventIds()

    def redrive(dead: int, done: Done, data: Edit = None) -> None:
        def committed(error: StepweaveError | None, results: Any) -> None:
            made = None if error is not None else results[0]
            done(error, None if made is None else ids.show(made[0].id))

        store.submit((Redrive(dead, event_ids.next(), now_ms(), data),), committed)

    return redrive


def _head(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "event": ids.show(letter.event),
        "step": letter.subscription,
        "topic": letter.topic,
        "trace_id": letter.trace.split("-")[1],
        "attempts": letter.attempts,
        "reason": letter.reason,
        "error": (orjson.loads(letter.errors) or [{}])[-1],
        "group": letter.group,
        "holds": letter.holds,
        "at": letter.at,
    }
