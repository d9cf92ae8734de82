"""An answer in parts: where a handler that makes them meets the connection that takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from stepweave.errors import GivenUp, StepweaveError

__all__ = ["Streamed"]

Done = Callable[[StepweaveError | None, Any], None]


class Streamed:
    """Parts that wait to be sent; each is confirmed when the connection has taken it.

    `outcome` is how the run ended, None while it goes on. `begun` is called once, with whether
    anybody wants the parts.
    """

    __slots__ = (
        "_abandoned",
        "_begun",
        "_ended",
        "_parts",
        "_ready",
        "headers",
        "outcome",
        "status",
    )

    def __init__(self, status: Any, headers: Any, begun: Done) -> None:
        self.status = status
        self.headers = headers
        self.outcome: Any = None
        self._begun: Done | None = begun
        self._parts: deque[tuple[bytes, Done]] = deque()
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._abandoned = False

    # --- the handler's side

    def write(self, data: bytes, done: Done) -> None:
        """Add a part; `done` comes when it was sent, with GivenUp when nobody wants it."""
        if self._abandoned:
            done(GivenUp("nobody reads this answer any more"), None)
            return
        self._parts.append((data, done))
        self._ready.set()

    def end(self, outcome: Any) -> None:
        """The run has ended: nothing is added any more."""
        self.outcome = outcome
        self._ready.set()
        self._ended.set()

    # --- the connection's side

    def begin(self, *, wanted: bool) -> None:
        """The head is on its way; without `wanted` the parts need not be made."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun(None, {"wanted": wanted})

    async def part(self) -> tuple[bytes, Done] | None:
        """The next part and what confirms it; None when the run has ended."""
        while not self._parts:
            if self.outcome is not None or self._abandoned:
                return None
            self._ready.clear()
            await self._ready.wait()
        return self._parts.popleft()

    def abandon(self) -> None:
        """Nobody reads: what waits and what comes is refused."""
        self._abandoned = True
        self._ready.set()
        begun, self._begun = self._begun, None
        refused = [done for _, done in self._parts]
        self._parts.clear()
        if begun is not None:
            refused.append(begun)
        for done in refused:
            done(GivenUp("nobody reads this answer any more"), None)

    async def whole(self) -> bytes:
        """All parts joined, for who has no connection to send them to."""
        self.begin(wanted=True)
        parts: list[bytes] = []
        while (part := await self.part()) is not None:
            parts.append(part[0])
            part[1](None, None)
        return b"".join(parts)

    async def ended(self) -> None:
        """Wait for the end of the run."""
        await self._ended.wait()
