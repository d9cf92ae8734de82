"""Where work runs whose runner died: apart from the others, so that it cannot take them along."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from stepweave.calls import Call, Outcome
from stepweave.errors import RunnerGone, ShuttingDown, StepweaveError
from stepweave.runners.process import Child

__all__ = ["Ward"]

_TOGETHER = 8


class Ward:
    """Runs suspects in a child of their own, started when the first one comes.

    After one death a call shares the child with a few others that have also seen one; after
    two it runs alone, and when that child dies as well the fault is its own. The child ends
    when no suspect is left.
    """

    def __init__(self, spawn: Callable[[], Awaitable[Child]]) -> None:
        self._spawn = spawn
        self._suspects: deque[Call] = deque()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self.children: list[Child] = []

    def admit(self, call: Call) -> None:
        """Run a suspect when its turn comes; it gets its one outcome as in the pool."""
        self._suspects.append(call)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._tend())

    async def stop(self) -> None:
        """End the child; suspects that have not run end as lost."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
        for child in self.children:
            child.kill()
        self._refuse(ShuttingDown("Stepweave is stopping"))

    async def _tend(self) -> None:
        child: Child | None = None
        try:
            while self._suspects:
                if child is None or not child.ready:
                    self.children.clear()
                    child = await self._spawn()
                    self.children.append(child)
                for call in self._next():
                    _send(child, call)
                while child.calls and not child.exited.is_set():
                    child.draining = True
                    child.quiet.clear()
                    child.settle()
                    await child.quiet.wait()
                    child.draining = False
        except StepweaveError as error:
            self._refuse(error)
        finally:
            self.children.clear()
            if child is not None:
                await child.stop(1.0) if not self._stopped else child.kill()

    def _next(self) -> list[Call]:
        calls = [self._suspects.popleft()]
        while (
            calls[0].suspect == 1
            and self._suspects
            and self._suspects[0].suspect == 1
            and len(calls) < _TOGETHER
        ):
            calls.append(self._suspects.popleft())
        return calls

    def _refuse(self, error: StepweaveError) -> None:
        while self._suspects:
            self._suspects.popleft().finish(Outcome("lost", None, error.to_wire()))


def _send(child: Child, call: Call) -> None:
    try:
        child.invoke(call)
    except StepweaveError as error:
        lost = isinstance(error, RunnerGone)
        call.finish(Outcome("lost" if lost else "error", None, error.to_wire()))
