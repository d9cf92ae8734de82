"""What tests of queues have in common: buses that a test starts, handlers whose calls it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stepweave.calls import Call, Outcome
from stepweave.engine import ids
from stepweave.payload import decode
from tests.unit.engine_kit import OK, Rig, until

__all__ = ["Gate", "Start", "answer", "cancel", "soon"]

Start = Callable[..., Rig]
"""The fixture `start`: steps, and the options of a bus."""


class Gate:
    """A handler whose calls the test ends, and what they were given."""

    def __init__(self, rig: Rig, name: str = "A") -> None:
        self.open: list[Call] = []
        self._runners = rig.runners
        rig.handler(name, self.open.append)

    @property
    def data(self) -> list[Any]:
        return [decode(call.input["data"]) for call in self.open]

    def end(self, outcome: Outcome = OK) -> None:
        """End the call that began first of those that run."""
        self._runners.running -= 1
        self.open.pop(0).finish(outcome)

    async def drain(self, rig: Rig) -> list[Any]:
        """End all calls in the order in which they began; the data of each."""
        ended: list[Any] = []
        while rig.bus.waiting:
            await until(lambda: self.open or not rig.bus.waiting)
            if self.open:
                ended.append(self.data[0])
                self.end()
        await rig.store.apply(())
        return ended


async def answer(ask: Callable[..., None], *given: Any) -> Any:
    """What a request to the bus is answered."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    ask(*given, lambda error, result: future.set_result(error or result))
    return await future


async def cancel(rig: Rig, event: str, name: str | None = None) -> Any:
    """Cancel an event, or its delivery to one step; how many were taken away."""
    return await answer(lambda done: rig.bus.cancel_event(ids.read(event), done, name))


async def soon() -> None:
    """Let the loop turn a few times."""
    for _ in range(20):
        await asyncio.sleep(0)
