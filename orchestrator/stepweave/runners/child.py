"""One child of a language: shaken hands with, given steps and calls, watched and put down."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from stepweave.calls import Call, Outcome, StepRef
from stepweave.errors import (
    ProtocolError,
    RunnerGone,
    RunnerUnavailable,
    ShuttingDown,
    StepweaveError,
)
from stepweave.rpc import frame, messages
from stepweave.rpc.peer import Peer
from stepweave.runners import handshake, oversized
from stepweave.runners.launch import Launch, Services
from stepweave.runners.process import Process

__all__ = ["Child"]

_ANSWER_S = 0.5
"""How long the answer to a shutdown may come after the grace: handlers are told of it only then."""


class Child:
    """A running child. `on_slot` fires after each answered call, `on_exit` once at its end."""

    def __init__(
        self,
        launch: Launch,
        services: Services,
        on_slot: Callable[[Child], None],
        on_exit: Callable[[Child], None],
    ) -> None:
        self.launch = launch
        self.calls: dict[int, Call] = {}
        self.window = 1
        self.capabilities: Mapping[str, Any] = {}
        self.info: Mapping[str, Any] = {}
        self.ready = False
        self.draining = False
        self.stopping = False
        self.adopted = False
        """Whether its pool counts it among its children, so that its end is to be made good."""
        self.given_up = False
        """Whether it holds what it was told to end, and its end has been seen to."""
        self.responsive = False
        """Whether it answered when it was asked because a call in it would not end."""
        self.started_at = time.monotonic()
        self.served = 0
        self.loading = 0
        """Files that it has not answered for yet; it is busy with them and nothing else."""
        self.fault: str | None = None
        self.quiet = asyncio.Event()
        """Set once the child drains and nobody waits for anything in it."""
        self._revisions: dict[str, set[int]] = {}
        self._services = services
        self._on_slot = on_slot
        self._on_exit = on_exit
        self._process = Process(self._output, self._stderr, self._end)
        self.exited = self._process.exited
        self.peer = Peer(
            self._process.write,
            services.requests(self.calls),
            {messages.LOG: self._log},
            max_frame=launch.max_frame,
            on_oversized=self._oversized,
        )

    @property
    def pid(self) -> int:
        """The number of its process, 0 before it is started."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.returncode

    async def start(self) -> None:
        """Spawn the process and shake hands.

        Raises RunnerUnavailable with the child's own last words when it does not get ready.
        """
        launch = self.launch
        try:
            await self._process.spawn(launch)
        except OSError as error:
            raise RunnerUnavailable(f"the {launch.title} cannot be started: {error}") from error
        try:
            async with asyncio.timeout(launch.start_timeout_s):
                answer = await self.peer.call(messages.INITIALIZE, handshake.hello(launch))
            terms = handshake.accept(launch, answer)
        except TimeoutError as error:
            self.kill()
            raise RunnerUnavailable(
                f"the {launch.title} did not answer initialize within "
                f"{launch.start_timeout_s:g} s{self._process.last_words()}"
            ) from error
        except RunnerUnavailable:
            self.kill()
            raise
        except StepweaveError as error:
            self.kill()
            await self.exited.wait()
            raise RunnerUnavailable(self.ended("before it was ready")) from error
        self.info, self.capabilities, self.peer.max_frame, self.window = terms
        self.ready = True

    def invoke(self, call: Call) -> None:
        """Send a call. Raises TooLarge or RunnerGone when it cannot be sent at all."""
        step = call.step
        params = {
            "step": step.relpath,
            "revision": self._revision(step),
            "kind": call.kind,
            "input": call.input,
            "trace": call.traceparent,
            "attempt": call.attempt,
        }
        if call.deadline is not None:
            params["deadline_ms"] = call.remaining_ms()

        def answered(error: Any, result: Any) -> None:
            del self.calls[request_id]
            self.served += 1
            if error is None:
                call.finish(Outcome("ok", result))
            elif self.stopping and call.cancelled_at is None and _unfinished(error):
                call.finish(Outcome("lost", None, ShuttingDown("Stepweave is stopping").to_wire()))
            elif isinstance(error, BaseException):
                call.finish(Outcome("lost", None, _lost(call, error)))
            elif call.cancelled_at is not None and error.get("code") == "cancelled":
                status = "timeout" if call.cancel_reason == "timeout" else "cancelled"
                call.finish(Outcome(status, None, error))  # type: ignore[arg-type]
            else:
                call.finish(Outcome("error", None, error))
            self.settle()
            self._on_slot(self)

        request_id = self.peer.request(messages.INVOKE, params, answered)
        call.request_id = request_id
        call.runner = self
        self.calls[request_id] = call

    def remember(self, handle: str, revision: int) -> None:
        """Note that a revision of a step is loaded."""
        self._revisions.setdefault(handle, set()).add(revision)

    def has(self, handle: str, revision: int) -> bool:
        """Whether a revision of a step is loaded."""
        return revision in self._revisions.get(handle, ())

    def forget(self, handle: str, revision: int | None) -> None:
        """Note that a revision of a step, or all of them, are to be unloaded."""
        kept = self._revisions.pop(handle, set()) - {revision}
        if kept and revision is not None:
            self._revisions[handle] = kept

    def cancel(self, call: Call, reason: str) -> None:
        """Ask the child to stop a call; its answer still comes as usual."""
        if call.cancelled_at is None and call.runner is self:
            call.cancelled_at = time.monotonic()
            call.cancel_reason = reason
            self.peer.notify(messages.CANCEL, {"id": call.request_id, "reason": reason})

    async def stop(self, grace_s: float) -> None:
        """End the child: shutdown, end of file, then SIGTERM and SIGKILL past the grace."""
        if not self._process.running:
            return
        self.draining = self.stopping = True
        with contextlib.suppress(TimeoutError, StepweaveError):
            async with asyncio.timeout(grace_s + _ANSWER_S):
                await self.peer.call(messages.SHUTDOWN, {"grace_ms": int(grace_s * 1000)})
        self._process.close_input()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.exited.wait()
                return
            self._process.signal(number)
        await self.exited.wait()

    def settle(self) -> None:
        """Notice that a draining child has no call left that anybody waits for."""
        if self.draining and all(call.done for call in self.calls.values()):
            self.quiet.set()

    def kill(self) -> None:
        """End the child at once; it takes no further call."""
        self.ready = False
        self._process.signal(signal.SIGKILL)

    async def responds(self, within_s: float) -> bool:
        """Whether the child still answers a ping."""
        try:
            async with asyncio.timeout(within_s):
                await self.peer.call(messages.PING, {})
        except (TimeoutError, StepweaveError):
            return False
        return True

    def ended(self, when: str = "") -> str:
        """How the child ended, in a sentence's words, with the last line it wrote."""
        if self.fault:
            return f"the {self.launch.title} was stopped: {self.fault}"
        how = self._process.ended()
        how = f"{how} {when}" if when else how
        return f"the {self.launch.title} {how}{self._process.last_words()}"

    # --- parts

    def _revision(self, step: StepRef) -> int:
        """The step's revision, or the newest there is when an edit has overtaken the call."""
        loaded = self._revisions.get(step.relpath)
        return step.revision if not loaded or step.revision in loaded else max(loaded)

    def _output(self, data: bytes) -> None:
        if self.peer.closed:
            return
        try:
            self.peer.feed(data)
        except ProtocolError as error:
            self.fault = f"it broke the protocol: {error}"
            self._stderr(f"the {self.launch.title} is replaced: {self.fault}")
            self.peer.close(RunnerGone(self.fault))
            self.kill()

    def _end(self) -> None:
        self.ready = False
        self.peer.close(RunnerGone(self.ended()))
        self.quiet.set()
        self._on_exit(self)

    def _stderr(self, line: str) -> None:
        self._services.stderr(self.launch.name, line)

    def _log(self, _peer: Peer, params: Mapping[str, Any]) -> None:
        self._services.log(self.calls, params)

    def _oversized(self, item: frame.Oversized) -> None:
        text = oversized.refuse(self.peer, item, self.launch.max_frame)
        self._stderr(f"the {self.launch.title} sent too much: {text}")


def _lost(call: Call, error: BaseException) -> dict[str, Any]:
    return {
        "code": "runner_gone",
        "message": f"{error}, while it ran {call.step.name}",
        "type": "RunnerGone",
    }


def _unfinished(error: Any) -> bool:
    """Whether a call ended because its runner was told to end, not by its own doing."""
    if isinstance(error, BaseException):
        return True
    return error.get("code") in ("cancelled", "shutting_down")
