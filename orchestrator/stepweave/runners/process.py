"""One child process of a language: spawned, shaken hands with, fed, watched and put down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import msgpack

import stepweave
from stepweave.calls import Call, Outcome, StepRef
from stepweave.errors import (
    ProtocolError,
    RunnerGone,
    RunnerUnavailable,
    ShuttingDown,
    StepweaveError,
)
from stepweave.rpc import frame, messages
from stepweave.rpc.peer import Peer, RequestHandler
from stepweave.runners.pipe import PipeWriter, open_pipe

__all__ = ["Child", "Launch", "Services"]

_LONGEST_LINE = 64 * 1024
_LAST_WORDS_S = 0.1


class Launch:
    """How children of one pool are started: argv, environment, folder, limits."""

    __slots__ = (
        "argv",
        "development",
        "env",
        "max_frame",
        "name",
        "root",
        "start_timeout_s",
        "window",
    )

    def __init__(
        self,
        name: str,
        argv: list[str],
        env: Mapping[str, str],
        root: Path,
        *,
        window: int = 1000,
        max_frame: int = frame.MAX_FRAME,
        development: bool = True,
        start_timeout_s: float = 30.0,
    ) -> None:
        self.name = name
        self.argv = argv
        self.env = dict(env)
        self.root = root
        self.window = window
        self.max_frame = max_frame
        self.development = development
        self.start_timeout_s = start_timeout_s


class Services(Protocol):
    """What a child may ask of its orchestrator, as handlers that know the child's open calls."""

    def requests(self, calls: Mapping[int, Call]) -> Mapping[str, RequestHandler]:
        """Handlers of the requests that a runner sends, by method."""
        ...

    def log(self, calls: Mapping[int, Call], params: Mapping[str, Any]) -> None:
        """Take one log notification."""

    def stderr(self, runner: str, line: str) -> None:
        """Take one line that the child wrote to its stderr."""


class Child(asyncio.SubprocessProtocol):
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
        self.started_at = time.monotonic()
        self.served = 0
        self._revisions: dict[str, set[int]] = {}
        self.last_line = ""
        self.fault: str | None = None
        self.pid = 0
        self.returncode: int | None = None
        self.exited = asyncio.Event()
        self.quiet = asyncio.Event()
        """Set once the child drains and nobody waits for anything in it."""
        self._services = services
        self._on_slot = on_slot
        self._on_exit = on_exit
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: PipeWriter | None = None
        self._stderr = bytearray()
        self._ended_pipes: set[int] = set()
        self.peer = Peer(
            self._write,
            services.requests(self.calls),
            {messages.LOG: self._log},
            max_frame=launch.max_frame,
            on_oversized=self._oversized,
        )

    async def start(self) -> None:
        """Spawn the process and shake hands.

        Raises RunnerUnavailable with the child's own last words when it does not get ready.
        """
        loop = asyncio.get_running_loop()
        reading, self._stdin = open_pipe()
        try:
            await loop.subprocess_exec(
                lambda: self,
                *self.launch.argv,
                stdin=reading,
                env=self.launch.env,
                cwd=str(self.launch.root),
                start_new_session=True,
            )
        except OSError as error:
            self._stdin.abort()
            raise RunnerUnavailable(
                f"the {self.launch.name} runner cannot be started: {error}"
            ) from error
        finally:
            os.close(reading)
        try:
            async with asyncio.timeout(self.launch.start_timeout_s):
                answer = await self.peer.call(messages.INITIALIZE, self._hello())
        except TimeoutError as error:
            self.kill()
            raise RunnerUnavailable(
                f"the {self.launch.name} runner did not answer initialize within "
                f"{self.launch.start_timeout_s:g} s{self._last_words()}"
            ) from error
        except StepweaveError as error:
            self.kill()
            await self.exited.wait()
            raise RunnerUnavailable(self.ended("before it was ready")) from error
        self._accept(answer)

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
                call.finish(Outcome("lost", None, self._lost(call, error)))
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
        if self._transport is None or self.returncode is not None:
            return
        self.draining = self.stopping = True
        with contextlib.suppress(TimeoutError, StepweaveError):
            async with asyncio.timeout(grace_s + 0.5):
                await self.peer.call(messages.SHUTDOWN, {"grace_ms": int(grace_s * 1000)})
        if self._stdin is not None:
            self._stdin.close()
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.exited.wait()
                return
            self._signal(signal_number)
        await self.exited.wait()

    def settle(self) -> None:
        """Notice that a draining child has no call left that anybody waits for."""
        if self.draining and all(call.done for call in self.calls.values()):
            self.quiet.set()

    def kill(self) -> None:
        """End the child at once; it takes no further call."""
        self.ready = False
        self._signal(signal.SIGKILL)

    async def responds(self, within_s: float) -> bool:
        """Whether the child still answers a ping."""
        try:
            async with asyncio.timeout(within_s):
                await self.peer.call(messages.PING, {})
        except (TimeoutError, StepweaveError):
            return False
        return True

    # --- asyncio.SubprocessProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport has the methods of asyncio's without being one.
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self.pid = self._transport.get_pid() or 0

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._stderr_data(data)
            return
        if self.peer.closed:
            return
        try:
            self.peer.feed(data)
        except ProtocolError as error:
            self.fault = f"it broke the protocol: {error}"
            self._services.stderr(
                self.launch.name, f"the {self.launch.name} runner is replaced: {self.fault}"
            )
            self.peer.close(RunnerGone(self.fault))
            self.kill()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._ended_pipes.add(fd)
        if fd == 1 and self.returncode is None:
            asyncio.get_running_loop().call_later(1.0, self.kill)
        self._end()

    def process_exited(self) -> None:
        assert self._transport is not None
        self.returncode = self._transport.get_returncode()
        self._end()

    def _end(self) -> None:
        """Settle the child once its frames and last words are read and its exit code is known.

        Its stderr may live on in a grandchild, so the end of that pipe is not waited for long.
        """
        if 1 not in self._ended_pipes or self.returncode is None:
            return
        if 2 in self._ended_pipes:
            self._settle_end()
        else:
            asyncio.get_running_loop().call_later(_LAST_WORDS_S, self._settle_end)

    def _settle_end(self) -> None:
        if self.exited.is_set():
            return
        if self._transport is not None:
            self._transport.close()
        if self._stdin is not None:
            self._stdin.abort()
        self.ready = False
        self.peer.close(RunnerGone(self.ended()))
        self.exited.set()
        self.quiet.set()
        self._on_exit(self)

    # --- parts

    def _hello(self) -> dict[str, Any]:
        return {
            "protocol": list(messages.VERSIONS),
            "orchestrator": {"name": "stepweave", "version": stepweave.__version__},
            "root": str(self.launch.root),
            "environment": "development" if self.launch.development else "production",
            "max_frame": self.launch.max_frame,
            "window": self.launch.window,
            "capabilities": {},
        }

    def _accept(self, answer: Any) -> None:
        oldest, newest = messages.VERSIONS
        if not isinstance(answer, dict) or not isinstance(answer.get("protocol"), int):
            self.kill()
            name = self.launch.name
            raise RunnerUnavailable(f"the {name} runner's answer to initialize is not a map")
        if not oldest <= answer["protocol"] <= newest:
            self.kill()
            raise RunnerUnavailable(
                f"the {self.launch.name} runner speaks protocol {answer['protocol']}, "
                f"this Stepweave {oldest} to {newest}; update the older one"
            )
        self.info = answer.get("runner") or {}
        self.capabilities = answer.get("capabilities") or {}
        self.peer.max_frame = int(answer.get("max_frame") or frame.MAX_FRAME)
        window = int(answer.get("window") or 1)
        self.window = min(window, self.launch.window) if self.capabilities.get("concurrent") else 1
        self.ready = True

    def _revision(self, step: StepRef) -> int:
        """The step's revision, or the newest there is when an edit has overtaken the call."""
        loaded = self._revisions.get(step.relpath)
        return step.revision if not loaded or step.revision in loaded else max(loaded)

    def _write(self, data: bytes) -> None:
        if self._stdin is not None:
            self._stdin.write(data)

    def _signal(self, number: int) -> None:
        if self.pid and self.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _log(self, _peer: Peer, params: Mapping[str, Any]) -> None:
        self._services.log(self.calls, params)

    def _oversized(self, item: frame.Oversized) -> None:
        """Refuse a frame over the limit if its head tells the request or answer that it was."""
        kind, request_id = _head(item.head)
        limit = self.launch.max_frame
        text = f"a frame of {item.size} bytes is over the limit of {limit}"
        if kind == 0 and request_id is not None:
            self.peer.refuse(request_id, "too_large", text)
        elif kind == 1 and request_id is not None:
            error = {"code": "too_large", "message": text}
            with contextlib.suppress(ProtocolError):
                self.peer.feed(frame.pack((1, request_id, error, None)))
        name = self.launch.name
        self._services.stderr(name, f"the {name} runner sent too much: {text}")

    def _stderr_data(self, data: bytes) -> None:
        self._stderr += data
        *lines, rest = self._stderr.split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = bytearray()
        self._stderr = bytearray(rest)
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            if text.strip():
                self.last_line = text
                self._services.stderr(self.launch.name, text)

    def _lost(self, call: Call, error: BaseException) -> dict[str, Any]:
        return {
            "code": "runner_gone",
            "message": f"{error}, while it ran {call.step.name}",
            "type": "RunnerGone",
        }

    def _last_words(self) -> str:
        return f"; its last line: {self.last_line}" if self.last_line else ""

    def ended(self, when: str = "") -> str:
        """How the child ended, in a sentence's words, with the last line it wrote."""
        if self.fault:
            return f"the {self.launch.name} runner was stopped: {self.fault}"
        code = self.returncode
        how = "ended"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        elif code is not None:
            how = f"left with exit code {code}"
        how = f"{how} {when}" if when else how
        return f"the {self.launch.name} runner {how}{self._last_words()}"


def _unfinished(error: Any) -> bool:
    """Whether a call ended because its runner was told to end, not by its own doing."""
    if isinstance(error, BaseException):
        return True
    return error.get("code") in ("cancelled", "shutting_down")


def _head(head: bytes) -> tuple[int | None, int | None]:
    """The kind and id at the front of a frame that was too large to read, when they are there."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(head)
    try:
        unpacker.read_array_header()
        kind, request_id = unpacker.unpack(), unpacker.unpack()
    except (msgpack.exceptions.UnpackException, ValueError):
        return None, None
    return kind, request_id if isinstance(request_id, int) else None
