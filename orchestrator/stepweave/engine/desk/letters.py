"""The dead letters as people see them: listed, shown in full, delivered anew, discarded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import orjson

from stepweave.engine import ids
from stepweave.engine.desk import show
from stepweave.engine.desk.asking import ask
from stepweave.engine.store.contract import DeadLetter, Done, Store
from stepweave.payload import Payload

__all__ = ["Edit", "Letters", "Redriver"]

Edit = tuple[Payload | None] | None
"""A 1-tuple of what to deliver instead of a letter's own data, or None to leave it."""

_T = TypeVar("_T")

_PREVIEW = 4096
_PAGE = 100


class Redriver(Protocol):
    """Delivers a dead letter anew, or lets it go: a Bus, or Offline."""

    def redrive(self, dead: int, done: Done, data: Edit = None) -> None: ...
    def discard(self, dead: int, done: Done) -> None: ...


class Letters:
    """What `stepweave events` and the JSON API do; each call returns once it is on disk."""

    def __init__(self, store: Store, bus: Redriver) -> None:
        self._store = store
        self._bus = bus

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
            "behind": await self._behind(letter),
            **show.whole(letter.data, "data"),
        }

    async def retry(self, id: int, edit: Edit = None) -> str | None:
        """Deliver it as a new event; that event's id, None if there is no such letter."""
        return await self._durable(ask(lambda done: self._bus.redrive(id, done, edit)))

    async def retry_all(self, step: str | None = None) -> int:
        """Deliver every dead letter, or those of one step, in the order in which they died; how
        many. Later ones stay."""
        return await self._each(step, self.retry)

    async def discard(self, id: int) -> bool:
        """Forget it; whether it was there. A group that it held goes on."""
        return bool(await self._durable(ask(lambda done: self._bus.discard(id, done))))

    async def discard_all(self, step: str | None = None) -> int:
        """Forget every dead letter, or those of one step; how many."""
        return await self._each(step, self.discard)

    async def _behind(self, letter: DeadLetter) -> int | None:
        """How many deliveries wait for it; None when it holds no group."""
        if not letter.holds or letter.group is None:
            return None
        return await self._store.behind(letter.subscription, letter.group)

    async def _each(self, step: str | None, act: Callable[[int], Awaitable[Any]]) -> int:
        letters: list[int] = []
        before = None
        while page := await self._store.dead(_PAGE, before, step):
            before = page[-1].id
            letters += (letter.id for letter in page)
        count = 0
        for start in range(len(letters), 0, -_PAGE):
            oldest = reversed(letters[max(0, start - _PAGE) : start])
            count += sum(map(bool, await asyncio.gather(*(act(letter) for letter in oldest))))
        return count

    async def _durable(self, work: Awaitable[_T]) -> _T:
        result = await work
        await self._store.sync(self._store.last_sequence)
        return result


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
        "holds": bool(letter.holds),
        "at": letter.at,
    }
