"""The children of one language: loads steps into them, spreads calls, replaces what fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stepweave import payload
from stepweave.calls import Call, Outcome
from stepweave.errors import (
    LoadFailed,
    RemoteError,
    RunnerGone,
    RunnerUnavailable,
    ShuttingDown,
    StepweaveError,
)
from stepweave.payload import Payload
from stepweave.rpc import messages
from stepweave.runners.child import Child
from stepweave.runners.launch import Launch, Services
from stepweave.runners.ward import Ward

__all__ = ["Loaded", "Pool", "PoolStatus", "ReplaceFailed"]

PoolStatus = Literal["stopped", "starting", "ready", "restarting", "unavailable"]

_TICK_S = 0.1
_HOPELESS_AFTER = 5
_HEALTHY_AFTER_S = 10.0
_PING_S = 1.0


class ReplaceFailed(StepweaveError):
    """New children did not take every step, so the old ones stay; `failures` by step handle."""

    code = "load_failed"

    def __init__(self, failures: Mapping[str, LoadFailed]) -> None:
        super().__init__("; ".join(f"{handle}: {error}" for handle, error in failures.items()))
        self.failures = failures


@dataclass(frozen=True, slots=True)
class Loaded:
    """A runner's answer to load: the raw config payload and what the file exports."""

    config: tuple[str, bytes]
    exports: tuple[str, ...]
    warnings: tuple[str, ...]
    watch: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    revision: int


class Pool:
    """Children of one runner and the calls that wait for one of them.

    `dispatch` never waits and never raises: each call gets exactly one outcome. A child that
    dies is replaced at once, then with growing pauses while its successors die young; calls
    wait meanwhile. Calls that ran in it end as `lost`; whether they run again is the caller's
    decision. When `processes` children cannot even start, calls are refused until one does.
    """

    def __init__(
        self,
        launch: Launch,
        services: Services,
        *,
        processes: int = 1,
        cancel_grace_s: float = 5.0,
        restart_base_s: float = 0.1,
        restart_cap_s: float = 5.0,
        notice: Callable[[str, str], None] = lambda level, message: None,
    ) -> None:
        self.launch = launch
        self.name = launch.name
        self.status: PoolStatus = "stopped"
        self.reason = ""
        self.restarts = 0
        self.children: list[Child] = []
        self._services = services
        self._processes = processes
        self._cancel_grace_s = cancel_grace_s
        self._restart_base_s = restart_base_s
        self._restart_cap_s = restart_cap_s
        self._notice = notice
        self._sources: dict[str, list[_Source]] = {}
        """The revisions of each step that are not unloaded, the newest last."""
        self._waiting: deque[Call] = deque()
        self._alive: set[Child] = set()
        self._ward = Ward(self._spawn_for_ward)
        self._deaths = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._restarting: asyncio.Task[Any] | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._stopping = False

    @property
    def info(self) -> Mapping[str, Any]:
        """Name, version and language version as the running child gave them."""
        for child in self.children:
            if child.info:
                return child.info
        return {}

    @property
    def handles(self) -> list[str]:
        """The steps that are loaded."""
        return list(self._sources)

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
        self._tick()

    async def load(self, handle: str, path: Path, revision: int) -> Loaded:
        """Load a revision of a step into every child; later children get it by themselves.

        Raises LoadFailed as the runner tells it; the step's earlier revision stays then.
        """
        source = _Source(path, revision)
        children = await self._live()
        answers = await asyncio.gather(
            *(self._load_into(child, handle, source) for child in children), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, RemoteError):
                raise LoadFailed(answer.wire) from answer
            if isinstance(answer, RunnerGone | RunnerUnavailable):
                message = f"{answer}, while it loaded this file"
                wire = {"code": "load_failed", "message": message, "type": "RunnerGone"}
                raise LoadFailed(wire) from answer
            if isinstance(answer, BaseException):
                raise answer
        self._sources.setdefault(handle, []).append(source)
        late = [child for child in self.children if child not in children and not child.draining]
        for child in late:
            with contextlib.suppress(StepweaveError):
                await self._load_into(child, handle, source)
        return _loaded(answers[0])

    async def unload(self, handle: str, revision: int | None = None) -> None:
        """Forget a step, or one revision of it, in every child."""
        sources = self._sources.pop(handle, [])
        kept = [each for each in sources if revision is not None and each.revision != revision]
        if kept:
            self._sources[handle] = kept
        params: dict[str, Any] = {"step": handle}
        if revision is not None:
            params["revision"] = revision
        for child in [child for child in self.children if not child.draining]:
            child.forget(handle, revision)
            with contextlib.suppress(StepweaveError):
                await child.peer.call(messages.UNLOAD, params)

    def leave(self, handle: str) -> None:
        """Give new children this step no more; those that have it keep it until `unload`."""
        self._sources.pop(handle, None)

    async def changed(self, paths: Sequence[str]) -> tuple[list[str], bool]:
        """Tell the children that files changed: the steps that reach them, and whether only
        new processes (`replace_all`) will see the new code."""
        handles: dict[str, None] = {}
        restart = False
        for child in await self._live():
            if not child.capabilities.get("reload"):
                return list(self._sources), True
            answer = await child.peer.call(messages.CHANGED, {"paths": list(paths)})
            handles.update(dict.fromkeys(answer.get("steps") or ()))
            restart = restart or bool(answer.get("restart"))
        return list(handles), restart

    async def replace_all(self) -> None:
        """Swap every child for a new one: new calls go to the new ones, running calls finish.

        Raises RunnerUnavailable when the new ones do not start, ReplaceFailed when they cannot
        load what the old ones run; the old ones then stay.
        """
        old = [child for child in self.children if not child.draining]
        fresh: list[Child] = []
        try:
            for _ in old:
                child, failures = await self._spawn_apart()
                fresh.append(child)
                if failures:
                    raise ReplaceFailed(failures)
        except StepweaveError:
            for child in fresh:
                child.kill()
            raise
        for child in fresh:
            self._adopt(child)
        for child in old:
            self._retire(child)

    async def authorize(
        self, handle: str, kind: Literal["canAccess", "streamAuth"], input: Payload
    ) -> Payload | None:
        """Ask a function of a file; see Pools.authorize."""
        live = await self._live()
        child = min(live, key=lambda child: child.peer.open_requests)
        if not child.capabilities.get("authorize"):
            raise RunnerUnavailable(f"the {self.name} runner knows no {kind}")
        params = {"step": handle, "kind": kind, "input": input}
        return payload.check(await child.peer.call(messages.AUTHORIZE, params))

    def dispatch(self, call: Call) -> None:
        """Run a call in the least busy child, or when one is free; its outcome comes once."""
        if self._stopping:
            call.finish(Outcome("lost", None, ShuttingDown("Stepweave is stopping").to_wire()))
            return
        if call.suspect:
            self._ward.admit(call)
            return
        if not self._waiting:
            child = self._free()
            if child is not None:
                self._send(child, call)
                return
        if self.status == "unavailable":
            error = RunnerUnavailable(self.reason or f"the {self.name} runner is not available")
            call.finish(Outcome("lost", None, error.to_wire()))
            return
        self._waiting.append(call)

    def cancel(self, call: Call, reason: str) -> None:
        """Stop a call: one that waits ends at once, a running one is asked to and watched."""
        if call.done:
            return
        if call.runner is None:
            self._drop_waiting(call, reason)
        else:
            call.runner.cancel(call, reason)

    async def stop(self, grace_s: float) -> None:
        """End all children; running calls have `grace_s` seconds, waiting ones end as lost."""
        self._stopping = True
        if self._ticker is not None:
            self._ticker.cancel()
        for task in list(self._tasks):
            task.cancel()
        await self._ward.stop()
        while self._waiting:
            call = self._waiting.popleft()
            call.finish(Outcome("lost", None, ShuttingDown("Stepweave is stopping").to_wire()))
        await asyncio.gather(*(child.stop(grace_s) for child in list(self.children)))
        for child in list(self._alive):
            child.kill()
            await child.exited.wait()
        self.status = "stopped"

    def statistics(self) -> dict[str, Any]:
        """Figures for people: status, and the children with pid, running and served calls."""
        return {
            "name": self.name,
            "status": self.status,
            "reason": self.reason,
            "restarts": self.restarts,
            "waiting": len(self._waiting),
            "steps": sorted(self._sources),
            "children": [
                {
                    "pid": child.pid,
                    "running": len(child.calls),
                    "served": child.served,
                    "draining": child.draining,
                    "uptime_s": round(time.monotonic() - child.started_at, 1),
                    **{key: str(value) for key, value in child.info.items()},
                }
                for child in self.children
            ],
        }

    # --- sending

    def _free(self) -> Child | None:
        best: Child | None = None
        for child in self.children:
            running = len(child.calls)
            if (
                child.ready
                and not child.draining
                and running < child.window
                and (best is None or running < len(best.calls))
            ):
                best = child
        return best

    def _send(self, child: Child, call: Call) -> None:
        try:
            child.invoke(call)
        except RunnerGone:
            # Nothing was sent; the next child takes it.
            child.ready = False
            self._waiting.appendleft(call)
        except StepweaveError as error:
            call.finish(Outcome("error", None, error.to_wire()))

    def _on_slot(self, child: Child) -> None:
        if not child.adopted:
            return
        while self._waiting:
            if child.draining or not child.ready or len(child.calls) >= child.window:
                return
            self._send(child, self._waiting.popleft())

    def _drop_waiting(self, call: Call, reason: str) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(call)
        late = reason == "timeout"
        message = f"{call.step.name} waited for a free {self.name} runner until its time was over"
        call.finish(
            Outcome(
                "timeout" if late else "cancelled",
                None,
                {"code": "timeout" if late else "cancelled", "message": message},
            )
        )

    # --- deadlines

    def _tick(self) -> None:
        now = time.monotonic()
        for child in [*self.children, *self._ward.children]:
            stuck: list[Call] = []
            for call in child.calls.values():
                if call.cancelled_at is None:
                    if call.deadline is not None and now >= call.deadline:
                        child.cancel(call, "timeout")
                elif now - call.cancelled_at >= self._cancel_grace_s and not call.done:
                    stuck.append(call)
            if stuck and child in self._ward.children:
                child.kill()
            elif stuck and not child.draining:
                child.draining = True
                self._background(self._replace_stuck(child))
            for call in stuck:
                self._give_up(call)
        if self._waiting:
            for call in [c for c in self._waiting if c.deadline is not None and now >= c.deadline]:
                self._drop_waiting(call, "timeout")
        self._ticker = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _give_up(self, call: Call) -> None:
        late = call.cancel_reason == "timeout"
        message = (
            f"{call.step.name} did not stop within {self._cancel_grace_s:g} s of being told to "
            f"({call.cancel_reason}); its {self.name} runner is replaced"
        )
        code: Literal["timeout", "cancelled"] = "timeout" if late else "cancelled"
        call.finish(Outcome(code, None, {"code": code, "message": message}))
        call.runner.settle()

    async def _replace_stuck(self, child: Child) -> None:
        """Replace a child that holds a call it will not end; the others in it may finish
        as long as it still answers a ping."""
        self._notice("warn", f"a {self.name} runner (pid {child.pid}) is stuck and is replaced")
        self._make_good()
        if await child.responds(_PING_S):
            self._retire(child)
        else:
            child.kill()

    # --- life of the children

    async def _live(self) -> list[Child]:
        while not any(child.ready and not child.draining for child in self.children):
            if self.status in ("unavailable", "stopped"):
                raise RunnerUnavailable(self.reason or f"the {self.name} runner is not running")
            await asyncio.sleep(0.01)
        return [child for child in self.children if child.ready and not child.draining]

    async def _spawn(self) -> Child:
        child, failures = await self._spawn_apart()
        for handle, error in failures.items():
            self._notice("error", f"{handle}: cannot be loaded again: {error}")
        self._adopt(child)
        return child

    def _adopt(self, child: Child) -> None:
        if child.peer.closed:
            raise RunnerUnavailable(child.ended())
        child.adopted = True
        self.children.append(child)
        self._on_slot(child)

    async def _spawn_apart(self) -> tuple[Child, dict[str, LoadFailed]]:
        """A new child with every step loaded that is not one of the pool's own, and what failed."""
        child = Child(self.launch, self._services, self._on_slot, self._on_exit)
        self._alive.add(child)
        try:
            await child.start()
            return child, await self._load_all(child)
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

    async def _spawn_for_ward(self) -> Child:
        return (await self._spawn_apart())[0]

    async def _load_all(self, child: Child) -> dict[str, LoadFailed]:
        """Give a new child every step, before its first call; the errors of those that fail.

        What is loaded into the others meanwhile is not left out.
        """
        given: dict[str, _Source] = {}
        failures: dict[str, LoadFailed] = {}
        while wanted := {
            handle: sources[-1]
            for handle, sources in self._sources.items()
            if given.get(handle) is not sources[-1]
        }:
            results = await asyncio.gather(
                *(self._load_into(child, handle, source) for handle, source in wanted.items()),
                return_exceptions=True,
            )
            given |= wanted
            for handle, result in zip(wanted, results, strict=True):
                failures.pop(handle, None)
                if isinstance(result, RemoteError):
                    failures[handle] = LoadFailed(result.wire)
                elif isinstance(result, RunnerGone):
                    raise RunnerUnavailable(str(result)) from result
                elif isinstance(result, BaseException):
                    raise result
        return failures

    async def _load_into(self, child: Child, handle: str, source: _Source) -> Mapping[str, Any]:
        params = {"step": handle, "path": str(source.path), "revision": source.revision}
        limit_s = self.launch.start_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                answer: Mapping[str, Any] = await child.peer.call(messages.LOAD, params)
        except TimeoutError as error:
            if not await child.responds(_PING_S):
                child.kill()
                raise RunnerGone(f"the {self.name} runner was stuck for {limit_s:g} s") from error
            text = f"the file did not load within {limit_s:g} s"
            raise LoadFailed({"code": "load_failed", "message": text}) from error
        child.remember(handle, source.revision)
        return answer

    def _on_exit(self, child: Child) -> None:
        self._alive.discard(child)
        if not child.adopted:
            return
        self.children.remove(child)
        if self._stopping or (child.draining and self._ready_count() >= self._processes):
            return
        young = time.monotonic() - child.started_at < _HEALTHY_AFTER_S
        self._deaths = self._deaths + 1 if young else 0
        if child.returncode is not None and not child.draining:
            self._notice("error", f"{child.ended()}; it is started again")
        self._make_good()

    def _make_good(self) -> None:
        """Start what is missing to the wanted number of children."""
        if not self._ready_count():
            self.status = "restarting"
        if self._restarting is None or self._restarting.done():
            self._restarting = self._background(self._restart())

    async def _restart(self) -> None:
        while not self._stopping and self._ready_count() < self._processes:
            await asyncio.sleep(self._pause_s())
            try:
                await self._spawn()
            except RunnerUnavailable as error:
                self._deaths += 1
                self.reason = str(error)
                if self._deaths >= _HOPELESS_AFTER and not self._ready_count():
                    self._refuse_waiting()
                continue
            self.restarts += 1
            self.status = "ready"
            self.reason = ""

    def _pause_s(self) -> float:
        """Seconds before the next start: none after a first death, then doubling to the cap."""
        if self._deaths <= 1:
            return 0.0
        doubled: float = self._restart_base_s * 2 ** min(self._deaths - 2, 20)
        return min(doubled, self._restart_cap_s)

    def _refuse_waiting(self) -> None:
        """Tell those who wait that no child can be started now; tries go on."""
        if self.status != "unavailable":
            self._notice("error", f"the {self.name} runner cannot be started: {self.reason}")
        self.status = "unavailable"
        while self._waiting:
            call = self._waiting.popleft()
            call.finish(Outcome("lost", None, RunnerUnavailable(self.reason).to_wire()))

    def _retire(self, child: Child) -> None:
        """Let a child finish what it runs, then end it."""
        child.draining = True
        self._background(self._drain(child))

    async def _drain(self, child: Child) -> None:
        child.settle()
        await child.quiet.wait()
        await child.stop(1.0)

    def _ready_count(self) -> int:
        return sum(1 for child in self.children if child.ready and not child.draining)

    def _background(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _loaded(answer: Any) -> Loaded:
    config = answer.get("config") if isinstance(answer, dict) else None
    if not (isinstance(config, tuple) and len(config) == 2):
        raise LoadFailed({"code": "load_failed", "message": "the runner's answer holds no config"})
    return Loaded(
        config=(config[0], config[1]),
        exports=tuple(answer.get("exports") or ()),
        warnings=tuple(str(text) for text in answer.get("warnings") or ()),
        watch=tuple(answer.get("watch") or ()),
    )
