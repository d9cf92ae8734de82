"""Where work runs whose runner died: apart from the others, so that it cannot take them along."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from stepweave.calls import Call, Outcome
from stepweave.errors import RunnerGone, ShuttingDown, StepweaveError
from stepweave.runners.child import Child

__all__ = ["Ward"]

_TOGETHER = 8


class Ward:
    """Runs suspects in a child of their own, started when the first one comes.

    After one death a call shares the child with a few others that have also seen one; after
    two it runs alone, and when that child dies as well the fault is its own. The child ends
    when no suspect is left. A call's time begins to count when its turn comes.
    """

    def __init__(self, spawn: Callable[[], Awaitable[Child]]) -> None:
        self._spawn = spawn
        self._suspects: deque[tuple[Call, float | None]] = deque()
        self._running: dict[Call, None] = {}
        self._freed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self.children: list[Child] = []

    @property
    def busy(self) -> bool:
        """Whether suspects run or wait for their turn."""
        return bool(self._suspects or self._running)

    def admit(self, call: Call) -> None:
        """Run a suspect when its turn comes; it gets its one outcome as in the pool."""
        limit_s = None if call.deadline is None else call.deadline - time.monotonic()
        self._suspects.append((call, limit_s))
        self._freed.set()
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
        # Some may come while the last child ends.
        while self._suspects and not self._stopped:
            await self._run_all()

    async def _run_all(self) -> None:
        child: Child | None = None
        try:
            while self._suspects or self._running:
                if self._suspects and (child is None or not child.ready):
                    self.children.clear()
                    child = await self._spawn()
                    self.children.append(child)
                while child is not None and child.ready and self._may_begin():
                    self._begin(child)
                self._freed.clear()
                if self._running:
                    await self._freed.wait()
        except StepweaveError as error:
            self._refuse(error)
        finally:
            self.children.clear()
            if child is not None:
                await child.stop(1.0) if not self._stopped else child.kill()

    def _may_begin(self) -> bool:
        """Whether the first in the queue may run beside what runs."""
        if not self._suspects:
            return False
        if not self._running:
            return True
        together = [self._suspects[0][0], *self._running]
        return len(together) <= _TOGETHER and all(call.suspect == 1 for call in together)

    def _begin(self, child: Child) -> None:
        call, limit_s = self._suspects.popleft()
        tell = call.on_done
        if tell is None:
            return
        call.deadline = None if limit_s is None else time.monotonic() + limit_s
        self._running[call] = None

        def done(outcome: Outcome) -> None:
            del self._running[call]
            self._freed.set()
            tell(outcome)

        call.on_done = done
        try:
            child.invoke(call)
        except StepweaveError as error:
            lost = isinstance(error, RunnerGone)
            call.finish(Outcome("lost" if lost else "error", None, error.to_wire()))

    def _refuse(self, error: StepweaveError) -> None:
        while self._suspects:
            self._suspects.popleft()[0].finish(Outcome("lost", None, error.to_wire()))
