"""Asking again whether those who follow a guarded stream still may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from stepweave.engine.live.follower import Key
from stepweave.http.access import Access, Denied

__all__ = ["Guarded", "Recheck"]


class Guarded(Protocol):
    """A client whose access may end."""

    @property
    def auth(self) -> bytes: ...
    def followed(self) -> list[Key]: ...
    def deny(self, key: Key, text: str) -> None: ...


class Recheck:
    """Asks `canAccess` about every follower each `every_s` seconds, one question at a time.

    Followers of one thing with the same context share an answer. Make it inside a running loop.
    """

    def __init__(
        self, access: Access, every_s: float, clients: Callable[[], Iterable[Guarded]]
    ) -> None:
        self._access = access
        self._every_s = every_s
        self._clients = clients
        self._task = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            answers: dict[tuple[Key, bytes], str | None] = {}
            for client in list(self._clients()):
                for key in client.followed():
                    await self._look(client, key, answers)

    async def _look(
        self, client: Guarded, key: Key, answers: dict[tuple[Key, bytes], str | None]
    ) -> None:
        stream = self._access.stream(key[0])
        if stream is None or not stream.has_access_check:
            return
        question = key, client.auth
        if question not in answers:
            try:
                await self._access.check(stream, key, client.auth)
                answers[question] = None
            except Denied as denial:
                answers[question] = str(denial)
        refusal = answers[question]
        if refusal is not None:
            client.deny(key, refusal)
