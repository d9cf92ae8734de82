"""Steps with a process of their own (`infrastructure.handler.isolate`), each in a pool of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from stepweave.errors import RunnerUnavailable
from stepweave.runners.launch import Services
from stepweave.runners.options import PoolOptions
from stepweave.runners.pool import Pool

__all__ = ["Isolation"]


class Isolation:
    """Opens, finds and closes such pools. `routes` leads from a step's handle to where it runs.

    A pool is there before the route, while it is found out whether the file can run in it, and
    after it, until what runs has finished.
    """

    def __init__(self, services: Services, notice: Callable[[str, str], None]) -> None:
        self.routes: dict[str, Pool] = {}
        self._services = services
        self._notice = notice
        self._open: dict[str, Pool] = {}
        self._closing: dict[Pool, asyncio.Task[None]] = {}

    @property
    def pools(self) -> list[Pool]:
        """All of them."""
        return [*self._open.values(), *self._closing]

    def get(self, handle: str) -> Pool | None:
        """The pool of a step, if it has one."""
        return self._open.get(handle)

    async def open(self, handle: str, like: Pool, options: PoolOptions) -> Pool:
        """The pool of a step, started if there is none, with the command of another one.

        Raises RunnerUnavailable when its child does not start.
        """
        pool = self._open.get(handle)
        if pool is not None:
            return pool
        launch = like.launch.alone(handle)
        pool = Pool(launch, self._services, replace(options, processes=1), self._notice)
        self._open[handle] = pool
        try:
            await pool.start()
        except RunnerUnavailable:
            del self._open[handle]
            await pool.stop(0.0)
            raise
        return pool

    def tidy(self, handle: str) -> None:
        """Close the pool of a step if nothing is loaded into it any more."""
        pool = self._open.get(handle)
        if pool is None or pool.handles:
            return
        del self._open[handle]
        if self.routes.get(handle) is pool:
            del self.routes[handle]
        task = asyncio.get_running_loop().create_task(pool.close())
        self._closing[pool] = task
        task.add_done_callback(lambda _task: self._closing.pop(pool, None))

    async def stop(self, grace_s: float) -> None:
        """End every child; running calls have `grace_s` seconds."""
        pools = self.pools
        for task in list(self._closing.values()):
            task.cancel()
        await asyncio.gather(*(pool.stop(grace_s) for pool in pools))
