"""Keeps the children of one pool alive: starts them, makes good for those that end, swaps them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal

from stepweave.errors import LoadFailed, RunnerGone, RunnerUnavailable, StepweaveError
from stepweave.runners.child import Child
from stepweave.runners.launch import Launch, Services
from stepweave.runners.options import PoolOptions
from stepweave.runners.restarts import Restarts
from stepweave.runners.sources import Sources

__all__ = ["PoolStatus", "ReplaceFailed", "Supervisor"]

PoolStatus = Literal["stopped", "starting", "ready", "restarting", "unavailable"]

_PING_S = 1.0
_LONGEST_PAUSE_S = 60.0


class ReplaceFailed(StepweaveError):
    """New children did not take every step, so the old ones stay; `failures` by step handle."""

    code = "load_failed"

    def __init__(self, failures: Mapping[str, LoadFailed]) -> None:
        super().__init__("; ".join(f"{handle}: {error}" for handle, error in failures.items()))
        self.failures = failures


class Supervisor:
    """The children of one pool, as many as its options say.

    `on_slot` fires when a child may take a call, `on_hopeless` when none can be started.
    """

    def __init__(
        self,
        launch: Launch,
        services: Services,
        sources: Sources,
        options: PoolOptions,
        notice: Callable[[str, str], None],
        *,
        on_slot: Callable[[Child], None],
        on_hopeless: Callable[[], None],
    ) -> None:
        self.status: PoolStatus = "stopped"
        self.reason = ""
        self.restarts = 0
        self.children: list[Child] = []
        self.stopping = False
        self._launch = launch
        self._services = services
        self._sources = sources
        self._processes = options.processes
        self._pauses = Restarts(options.restart_base_s, options.restart_cap_s)
        self._complete_after_s = options.restart_base_s
        self._notice = notice
        self._on_slot = on_slot
        self._on_hopeless = on_hopeless
        self._alive: set[Child] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._restarting: asyncio.Task[Any] | None = None
        self._swapping = asyncio.Lock()

    async def start(self) -> None:
        """Start the children. Raises RunnerUnavailable when the first ones cannot start."""
        self.status = "starting"
        results = await asyncio.gather(
            *(self._spawn() for _ in range(self._processes)), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                self.status = "unavailable"
                self.reason = str(result)
                raise result
        self.status = "ready"

    async def live(self) -> list[Child]:
        """The children that take calls, at least one. Raises RunnerUnavailable without hope."""
        while not (live := self._live()):
            if self.status in ("unavailable", "stopped"):
                raise RunnerUnavailable(self.reason or f"the {self._launch.title} is not running")
            await asyncio.sleep(0.01)
        return live

    def coming(self) -> list[Child]:
        """The children that have begun to load steps and do not belong to the pool yet."""
        return [child for child in self._alive if child.ready and not child.adopted]

    async def spawn_apart(self) -> tuple[Child, dict[str, LoadFailed]]:
        """A new child with every step loaded that is not one of the pool's own, and what failed."""
        child = Child(self._launch, self._services, self._on_slot, self._on_exit)
        self._alive.add(child)
        try:
            await child.start()
            return child, await self._sources.give_all(child)
        except StepweaveError:
            child.kill()
            if child.pid:
                await child.exited.wait()
            else:
                self._alive.discard(child)
            raise
        except BaseException:
            child.kill()
            raise

    async def replace(self, only: Child | None = None) -> bool:
        """Swap every child, or one, for a new one: those take new calls, running calls finish.

        False when the one has ended meanwhile. Raises RunnerUnavailable when the new ones do
        not start, ReplaceFailed when they cannot load what the old ones run; the old ones stay.
        """
        async with self._swapping:
            old = [child for child in self._live() if only in (None, child)]
            fresh: list[Child] = []
            try:
                for _ in old:
                    child, failures = await self.spawn_apart()
                    fresh.append(child)
                    if failures:
                        raise ReplaceFailed(failures)
                # One may have died while the others were loading.
                for child in fresh:
                    _check(child)
            except StepweaveError:
                for child in fresh:
                    child.kill()
                raise
            if only is not None and only not in self._live():
                for child in fresh:
                    child.kill()
                return False
            for child in fresh:
                self._adopt(child)
            for child in old:
                self.retire(child)
            return True

    def give_up(self, child: Child, why: str) -> None:
        """Replace a child that is stuck; what runs in it may finish as long as it still answers
        a ping."""
        if not child.given_up:
            child.given_up = True
            self.background(self._give_up(child, why, retired=child.draining))
            child.draining = True

    def retire(self, child: Child) -> None:
        """Let a child finish what it runs, then end it."""
        child.draining = True
        self.background(self._drain(child))

    def background(self, work: Any) -> asyncio.Task[Any]:
        """Run something that may be cut off when the pool stops."""
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def begin_stop(self) -> None:
        """Start no child any more."""
        self.stopping = True
        for task in list(self._tasks):
            task.cancel()

    async def stop(self, grace_s: float) -> None:
        """End all children; running calls have `grace_s` seconds."""
        await asyncio.gather(*(child.stop(grace_s) for child in list(self.children)))
        for child in list(self._alive):
            child.kill()
            await child.exited.wait()
        self.status = "stopped"

    # --- parts

    def _live(self) -> list[Child]:
        return [child for child in self.children if child.ready and not child.draining]

    async def _spawn(self) -> None:
        child, failures = await self.spawn_apart()
        for handle, error in failures.items():
            self._notice("error", f"{handle}: cannot be loaded again: {error}")
        if self._full():
            child.kill()  # others came meanwhile
            return
        self._adopt(child)
        if failures:
            self.background(self._complete(child, set(failures)))

    async def _complete(self, child: Child, missing: set[str]) -> None:
        """Load again into a child what it lacks, such as a file that connects to what is away."""
        pause_s = self._complete_after_s
        while missing and not child.draining:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            try:
                given, missing = await self._sources.give_again(child, missing)
            except RunnerGone:
                return
            for handle in sorted(given):
                self._notice("info", f"{handle} is loaded again")

    def _adopt(self, child: Child) -> None:
        _check(child)
        child.adopted = True
        self.children.append(child)
        if self.status in ("restarting", "unavailable"):
            self.status = "ready"
            self.reason = ""
        self._on_slot(child)

    def _on_exit(self, child: Child) -> None:
        self._alive.discard(child)
        if not child.adopted:
            return
        self.children.remove(child)
        if self.stopping or (child.draining and self._full()):
            return
        self._pauses.died(child.started_at)
        if child.returncode is not None and not child.draining:
            self._notice("error", f"{child.ended()}; it is started again")
        self._make_good()

    def _make_good(self) -> None:
        """Start what is missing to the wanted number of children."""
        if not self._live():
            self.status = "restarting"
        if self._restarting is None or self._restarting.done():
            self._restarting = self.background(self._restart())

    async def _restart(self) -> None:
        while not self.stopping and not self._full():
            await asyncio.sleep(self._pauses.pause_s())
            try:
                await self._spawn()
            except RunnerUnavailable as error:
                self._pauses.failed()
                self.reason = str(error)
                if self._pauses.hopeless and not self._live():
                    self._despair()
                continue
            self.restarts += 1

    def _despair(self) -> None:
        """Say that no child can be started now; tries go on."""
        if self.status != "unavailable":
            self._notice("error", f"the {self._launch.title} cannot be started: {self.reason}")
        self.status = "unavailable"
        self._on_hopeless()

    async def _give_up(self, child: Child, why: str, *, retired: bool) -> None:
        self._notice("warn", f"the {self._launch.title} (pid {child.pid}) {why} and is replaced")
        self._make_good()
        if await child.responds(_PING_S):
            child.responsive = True
            if not retired:
                self.retire(child)
        else:
            child.fault = child.fault or "something that ran in it held it up"
            child.kill()

    async def _drain(self, child: Child) -> None:
        child.settle()
        await child.quiet.wait()
        await child.stop(1.0)

    def _full(self) -> bool:
        return len(self._live()) >= self._processes


def _check(child: Child) -> None:
    """Raises RunnerUnavailable for a child that has ended."""
    if child.peer.closed:
        raise RunnerUnavailable(child.ended())
