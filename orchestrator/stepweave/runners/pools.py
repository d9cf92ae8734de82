"""All pools of a project: finds the one for a language, and starts it when it is first needed."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from stepweave.calls import Call, Outcome
from stepweave.errors import RunnerUnavailable, UnknownStep
from stepweave.payload import Payload
from stepweave.rpc.frame import MAX_FRAME
from stepweave.runners import manifest
from stepweave.runners.isolation import Isolation
from stepweave.runners.launch import Launch, Services
from stepweave.runners.manifest import Manifest
from stepweave.runners.options import PoolOptions
from stepweave.runners.pool import Loaded, Pool
from stepweave.runners.watch import Watch
from stepweave.steps.model import Step

__all__ = ["Pools"]


class Pools:
    """The runners of a project, as one thing that runs calls."""

    def __init__(
        self,
        manifests: Iterable[Manifest],
        services: Services,
        root: Path,
        *,
        options: Callable[[str], PoolOptions] = lambda name: PoolOptions(),
        env: Mapping[str, str] | None = None,
        cache: Path | None = None,
        max_frame: int = MAX_FRAME,
        development: bool = True,
        notice: Callable[[str, str], None] = lambda level, message: None,
        on_spawn: Callable[[int], None] = lambda pid: None,
    ) -> None:
        """`on_spawn` gets the pid of each child."""
        self.manifests = {each.name: each for each in manifests}
        self.pools: dict[str, Pool] = {}
        self.unavailable: dict[str, str] = {}
        """Why a runner cannot be used, by its name."""
        self._services = services
        self._root = root
        self._options = options
        self._env = dict(os.environ if env is None else env)
        self._cache = cache or root / ".stepweave" / "cache"
        self._max_frame = max_frame
        self._development = development
        self._notice = notice
        self._on_spawn = on_spawn
        self._by_language: dict[str, Pool] = {}
        self._starting: dict[str, asyncio.Task[Pool]] = {}
        self._own = Isolation(services, notice)
        self._routes = self._own.routes
        self.watch = Watch(lambda: self.all)

    @property
    def all(self) -> list[Pool]:
        """The pools of languages, and those of isolated steps."""
        return [*self.pools.values(), *self._own.pools]

    @property
    def extensions(self) -> dict[str, str]:
        """Language by file suffix, for all runners."""
        return {
            suffix: language
            for each in self.manifests.values()
            for suffix, language in each.extensions.items()
        }

    def concerns(self, name: str, path: str) -> bool:
        """Whether a change of that file may matter to a runner: it is not plainly another's."""
        if path.endswith(tuple(self.manifests[name].extensions)):
            return True
        return not path.endswith(tuple(self.extensions))

    async def ensure(self, language: str) -> Pool:
        """The running pool of a language. Raises RunnerUnavailable with the reason and the cure."""
        pool = self._by_language.get(language)
        if pool is not None:
            return pool
        found = self._manifest(language)
        task = self._starting.get(found.name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._start(found))
            self._starting[found.name] = task
        try:
            return await asyncio.shield(task)
        finally:
            if task.done():
                self._starting.pop(found.name, None)

    async def load(
        self, handle: str, path: Path, language: str, revision: int, *, alone: bool = False
    ) -> Loaded:
        """Load a revision of a step into its language's children, or `alone` into its own.

        Which of them it belongs into is in its config; `settle` puts that right. Raises
        LoadFailed as the runner tells it, RunnerUnavailable.
        """
        pool = await self.ensure(language)
        if not alone and self._own.get(handle) is None:
            return await pool.load(handle, path, revision)
        own = await self._own.open(handle, pool, self._options(pool.name))
        try:
            return await own.load(handle, path, revision)
        finally:
            self._own.tidy(handle)

    async def settle(self, step: Step) -> None:
        """Let the calls of a step go where it belongs, with its loaded revision.

        Raises LoadFailed and RunnerUnavailable; it then stays where it was.
        """
        handle, handler = step.relpath, step.infrastructure.handler
        pool = await self.ensure(step.language)
        own = self._own.get(handle)
        if handler.isolate:
            options = self._options(pool.name)
            try:
                own = await self._own.open(handle, pool, options)
                await _move(step, pool, own)
            finally:
                self._own.tidy(handle)
            own.launch.step = step.name
            own.health.recycling.megabytes = handler.ram_mb or options.recycle_mb
            self._routes[handle] = own
        elif own is not None:
            try:
                await _move(step, own, pool)
            finally:
                self._own.tidy(handle)
            self._routes.pop(handle, None)

    def leave(self, handle: str, language: str) -> None:
        """Give new children this step no more; those that have it keep it until it is unloaded."""
        for pool in (self._by_language.get(language), self._own.get(handle)):
            if pool is not None:
                pool.leave(handle)

    async def unload(self, handle: str, language: str, revision: int | None = None) -> None:
        """Forget a step, or one revision of it, wherever it is loaded."""
        for pool in (self._by_language.get(language), self._own.get(handle)):
            if pool is not None:
                await pool.unload(handle, revision)
        self._own.tidy(handle)

    def dispatch(self, call: Call) -> None:
        """Run a call in its step's or language's pool; its one outcome comes through the call."""
        step = call.step
        routes = self._routes
        pool = routes.get(step.relpath) if routes else None
        if pool is None:
            pool = self._by_language.get(step.language)
        if pool is not None:
            pool.dispatch(call)
            return
        error = UnknownStep(f"no {step.language} runner is running for {step.name}")
        call.finish(Outcome("lost", None, error.to_wire()))

    def cancel(self, call: Call, reason: str) -> None:
        """Stop a call."""
        pool = self._routes.get(call.step.relpath) or self._by_language.get(call.step.language)
        if pool is not None:
            pool.cancel(call, reason)

    async def authorize(
        self, handle: str, language: str, kind: Literal["canAccess", "streamAuth"], input: Payload
    ) -> Payload | None:
        """Ask a function of a loaded file whether a client may come in (SPEC: authorize).

        Raises RemoteError with what the function raised, RunnerGone, RunnerUnavailable.
        """
        pool = await self.ensure(language)
        return await pool.authorize(handle, kind, input)

    async def stop(self, grace_s: float) -> None:
        """End every child; running calls have `grace_s` seconds."""
        self.watch.stop()
        for task in self._starting.values():
            task.cancel()
        shared = (pool.stop(grace_s) for pool in self.pools.values())
        await asyncio.gather(self._own.stop(grace_s), *shared)

    def statistics(self) -> list[dict[str, Any]]:
        """Figures for people, one entry a pool; `step` names the one that has it for itself."""
        return [pool.statistics() for pool in self.all]

    def _manifest(self, language: str) -> Manifest:
        for each in self.manifests.values():
            if language in each.languages:
                return each
        raise RunnerUnavailable(f"no runner knows the language {language}")

    async def _start(self, found: Manifest) -> Pool:
        options = self._options(found.name)
        try:
            interpreter, _version = await asyncio.to_thread(
                manifest.find_interpreter, found, self._root, options.interpreter
            )
            launch = Launch(
                found.name,
                found.command(interpreter),
                self._environment(options),
                self._root,
                window=options.window,
                max_frame=self._max_frame,
                development=self._development,
                start_timeout_s=options.start_timeout_s,
                parses=options.parses,
                middleware=options.middleware,
                on_spawn=self._on_spawn,
            )
            pool = Pool(launch, self._services, options, self._notice)
            try:
                await pool.start()
            except RunnerUnavailable:
                await pool.stop(0.0)
                raise
        except RunnerUnavailable as error:
            self.unavailable[found.name] = str(error)
            raise
        self.unavailable.pop(found.name, None)
        self.pools[found.name] = pool
        for language in found.languages:
            self._by_language[language] = pool
        self.watch.start()
        return pool

    def _environment(self, options: PoolOptions) -> dict[str, str]:
        env = {
            **self._env,
            **options.env,
            "STEPWEAVE_ROOT": str(self._root),
            "STEPWEAVE_CACHE": str(self._cache),
        }
        codec = importlib.util.find_spec("msgpack")
        if codec is not None and codec.origin is not None:
            env["STEPWEAVE_MSGPACK"] = str(Path(codec.origin).parent)
        return env


async def _move(step: Step, source: Pool, target: Pool) -> None:
    """Bring a revision that one of two pools has into the other one."""
    if source.has(step.relpath, step.revision):
        await target.load(step.relpath, step.path, step.revision)
        await source.unload(step.relpath, step.revision)
