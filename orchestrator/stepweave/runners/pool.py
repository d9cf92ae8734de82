"""The children of one language, or of one step: loads steps into them and spreads calls."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from stepweave import payload
from stepweave.calls import Call, Outcome
from stepweave.errors import RunnerGone, RunnerUnavailable, ShuttingDown, StepweaveError
from stepweave.payload import Payload
from stepweave.rpc import messages
from stepweave.runners.child import Child
from stepweave.runners.deadlines import Deadlines
from stepweave.runners.health import Health
from stepweave.runners.launch import Launch, Services
from stepweave.runners.options import PoolOptions
from stepweave.runners.sources import Loaded, Source, Sources
from stepweave.runners.supervisor import PoolStatus, ReplaceFailed, Supervisor
from stepweave.runners.waiting import Waiting
from stepweave.runners.ward import Ward

__all__ = ["Loaded", "Pool", "PoolStatus", "ReplaceFailed"]

_CLOSING_S = 0.05


class Pool:
    """Children of one runner and the calls that wait for one of them.

    `dispatch` never waits and never raises: each call gets exactly one outcome. A child that
    dies is replaced at once, then with growing pauses while its successors die young; calls
    wait meanwhile. Calls that ran in it end as `lost`; whether they run again is the caller's
    decision. When the children cannot even start, calls are refused until one does.
    """

    def __init__(
        self,
        launch: Launch,
        services: Services,
        options: PoolOptions | None = None,
        notice: Callable[[str, str], None] = lambda level, message: None,
    ) -> None:
        options = options or PoolOptions()
        self.launch = launch
        self.name = launch.name
        self._sources = Sources(launch)
        self._supervisor = Supervisor(
            launch,
            services,
            self._sources,
            options,
            notice,
            on_slot=self._on_slot,
            on_hopeless=self._refuse_waiting,
        )
        self.children = self._supervisor.children
        self.health = Health(self._supervisor, options, notice)
        self._waiting = Waiting(launch)
        self._ward = Ward(self._spawn_for_ward)
        self._deadlines = Deadlines(
            lambda: [*self.children, *self._ward.children],
            self._waiting,
            options.cancel_grace_s,
            busy=lambda: self._ward.busy,
            drop=self._waiting.drop,
            on_stuck=self._on_stuck,
        )

    @property
    def status(self) -> PoolStatus:
        """Whether it can take calls."""
        return self._supervisor.status

    @property
    def reason(self) -> str:
        """Why it cannot."""
        return self._supervisor.reason

    @property
    def restarts(self) -> int:
        """How many children were started in place of others that ended."""
        return self._supervisor.restarts

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
        return self._sources.handles

    def has(self, handle: str, revision: int) -> bool:
        """Whether that revision of a step is loaded."""
        return self._sources.has(handle, revision)

    async def start(self) -> None:
        """Start the children. Raises RunnerUnavailable when the first ones cannot start."""
        await self._supervisor.start()

    async def load(self, handle: str, path: Path, revision: int) -> Loaded:
        """Load a revision of a step into every child; later children get it by themselves.

        Raises LoadFailed as the runner tells it; the step's earlier revision stays then.
        """
        source = Source(path, revision)
        children = await self._supervisor.live()
        loaded = await self._sources.load(handle, source, children)
        self._sources.keep(handle, source)
        late = [child for child in self.children if child not in children and not child.draining]
        for child in late:
            with contextlib.suppress(StepweaveError):
                await self._sources.give(child, handle, source)
        return loaded

    async def unload(self, handle: str, revision: int | None = None) -> None:
        """Forget a step, or one revision of it, in every child."""
        self._sources.drop(handle, revision)
        params: dict[str, Any] = {"step": handle}
        if revision is not None:
            params["revision"] = revision
        for child in [child for child in self.children if not child.draining]:
            child.forget(handle, revision)
            with contextlib.suppress(StepweaveError):
                await child.peer.call(messages.UNLOAD, params)

    def leave(self, handle: str) -> None:
        """Give new children this step no more; those that have it keep it until `unload`."""
        self._sources.drop(handle)

    async def changed(self, paths: Sequence[str]) -> tuple[list[str], bool]:
        """Tell the children that files changed: the steps that reach them, and whether only
        new processes (`replace_all`) will see the new code."""
        params = {"paths": list(paths)}
        for child in self._supervisor.coming():
            # What it has loaded may be of before; it is loaded into it again as into the others.
            if child.capabilities.get("reload"):
                child.peer.request(messages.CHANGED, params, lambda error, answer: None)
        handles: dict[str, None] = {}
        restart = False
        for child in await self._supervisor.live():
            if not child.capabilities.get("reload"):
                return self.handles, True
            answer = await child.peer.call(messages.CHANGED, params)
            handles.update(dict.fromkeys(answer.get("steps") or ()))
            restart = restart or bool(answer.get("restart"))
        return list(handles), restart

    async def replace_all(self) -> None:
        """Swap every child for a new one: new calls go to the new ones, running calls finish.

        Raises RunnerUnavailable when the new ones do not start, ReplaceFailed when they cannot
        load what the old ones run; the old ones then stay.
        """
        await self._supervisor.replace()

    async def authorize(
        self, handle: str, kind: Literal["canAccess", "streamAuth"], input: Payload
    ) -> Payload | None:
        """Ask a function of a file; see Pools.authorize."""
        live = await self._supervisor.live()
        child = min(live, key=lambda child: child.peer.open_requests)
        if not child.capabilities.get("authorize"):
            raise RunnerUnavailable(f"the {self.name} runner knows no {kind}")
        params = {"step": handle, "kind": kind, "input": input}
        return payload.check(await child.peer.call(messages.AUTHORIZE, params))

    def dispatch(self, call: Call) -> None:
        """Run a call in the least busy child, or when one is free; its outcome comes once."""
        if self._supervisor.stopping:
            call.finish(Outcome("lost", None, ShuttingDown("Stepweave is stopping").to_wire()))
            return
        if self._deadlines.asleep:
            self._deadlines.wake()
        if call.suspect:
            self._ward.admit(call)
            return
        if not self._waiting:
            child = self._free()
            if child is not None:
                self._send(child, call)
                return
        if self.status == "unavailable":
            error = RunnerUnavailable(self.reason or f"the {self.launch.title} is not available")
            call.finish(Outcome("lost", None, error.to_wire()))
            return
        self._waiting.append(call, call.priority)

    def cancel(self, call: Call, reason: str) -> None:
        """Stop a call: one that waits ends at once, a running one is asked to and watched."""
        if call.done:
            return
        if call.runner is None:
            self._waiting.drop(call, reason)
        else:
            call.runner.cancel(call, reason)

    async def close(self) -> None:
        """End all children once what runs or waits has finished; no further call may come."""
        while not self._idle():  # noqa: ASYNC110  (nothing tells of the last of them)
            await asyncio.sleep(_CLOSING_S)
        await self.stop(1.0)

    async def stop(self, grace_s: float) -> None:
        """End all children; running calls have `grace_s` seconds, waiting ones end as lost."""
        self._supervisor.begin_stop()
        self._deadlines.stop()
        await self._ward.stop()
        self._waiting.refuse(ShuttingDown("Stepweave is stopping"))
        await self._supervisor.stop(grace_s)

    def look(self, memory: Mapping[int, int]) -> None:
        """See how the children are, given the memory of processes in bytes by pid."""
        self.health.look(memory)

    def statistics(self) -> dict[str, Any]:
        """Figures for people: status, and the children with pid, running and served calls."""
        return {
            "name": self.name,
            "step": self.launch.step or None,
            "status": self.status,
            "reason": self.reason,
            "restarts": self.restarts,
            "waiting": len(self._waiting),
            "steps": sorted(self.handles),
            "children": [
                {
                    "pid": child.pid,
                    "running": len(child.calls),
                    "served": child.served,
                    "draining": child.draining,
                    "uptime_s": round(time.monotonic() - child.started_at, 1),
                    **self.health.figures(child),
                    **{key: str(value) for key, value in child.info.items()},
                }
                for child in self.children
            ],
        }

    def _idle(self) -> bool:
        running = any(child.calls for child in self.children)
        return not (running or self._waiting or self._ward.busy)

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
            self._waiting.appendleft(call, call.priority)
        except StepweaveError as error:
            call.finish(Outcome("error", None, error.to_wire()))

    def _on_slot(self, child: Child) -> None:
        if not child.adopted:
            return
        while self._waiting:
            if child.draining or not child.ready or len(child.calls) >= child.window:
                return
            call = self._waiting.popleft()
            if not call.done:
                self._send(child, call)

    def _refuse_waiting(self) -> None:
        self._waiting.refuse(RunnerUnavailable(self.reason))

    # --- children

    async def _spawn_for_ward(self) -> Child:
        return (await self._supervisor.spawn_apart())[0]

    def _on_stuck(self, child: Child) -> None:
        if child in self._ward.children:
            child.kill()
        else:
            self._supervisor.give_up(child, "is stuck")
