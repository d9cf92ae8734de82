"""The methods that the orchestrator calls, and the life of this process."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from stepweave_runner import __version__, console, errors, frames, values, watchdog
from stepweave_runner.codec import codec
from stepweave_runner.connection import Connection
from stepweave_runner.errors import ProtocolError, Refusal, StepweaveError
from stepweave_runner.handlers import Handler, chain
from stepweave_runner.invocations import Invocations
from stepweave_runner.loader import Loader
from stepweave_runner.peer import Peer
from stepweave_runner.pending import Pending
from stepweave_runner.request import INPUTS
from stepweave_runner.scope import Scope
from stepweave_runner.threads import Threads

__all__ = ["Host"]

_PROTOCOL = (1, 1)
_WINDOW = 512
# Collections of the youngest generation come after this many new objects (limits of CPython: 700).
_YOUNG_OBJECTS = 50_000
_QUIET_S = 0.5
# Tasks say whose they are from Python 3.12 on.
_TellingTask: Any = asyncio.Task if hasattr(asyncio.Task, "get_context") else ()


class Host:
    """Serves one orchestrator over two descriptors until the end of its input."""

    def __init__(self, reading: int, writing: int) -> None:
        self._loop = _new_loop()
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(self._unhandled)
        self._peer = Peer(
            self._loop,
            codec,
            {
                "initialize": self.initialize,
                "load": self._initialized(self.load),
                "unload": self._initialized(self.unload),
                "changed": self._initialized(self.changed),
                "invoke": self.invoke,
                "authorize": self._initialized(self.authorize),
                "shutdown": self._initialized(self.shutdown),
                "ping": self.ping,
            },
            {"cancel": self.cancel},
        )
        self._connection = Connection(
            self._loop, reading, writing, codec, self._peer.receive, self._ended
        )
        self._peer.connection = self._connection
        self._reading = reading
        self._threads = Threads()
        self._loader: Loader | None = None
        self._invocations: Invocations
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._done = False
        self._settling: asyncio.TimerHandle | None = None

    def run(self) -> None:
        """Serve until the orchestrator is gone; ends the process."""
        console.capture()
        os.register_at_fork(after_in_child=self._connection.abandon)
        # Ctrl-C reaches the whole terminal; when to stop is the orchestrator's decision.
        signal.signal(signal.SIGINT, lambda *_: None)
        gc.set_threshold(_YOUNG_OBJECTS, 20, 50)
        self._connection.open()
        watchdog.watch(self._reading)
        while not self._done:
            self._serve()
        # Now that the loop stands still: such hooks may want to run one, or this one.
        try:
            atexit._run_exitfuncs()
        finally:
            os._exit(0)

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
        except KeyboardInterrupt:
            pass  # raised by a step in a task of its own, where asyncio lets it pass
        except SystemExit as error:
            self._invocations.leave(error.code)

    # --- requests, in the order of the specification

    def initialize(self, id: int, params: dict[str, Any]) -> None:
        """Fix version, limits and the project's folder."""
        if self._loader is not None:
            raise StepweaveError("invalid_params", "initialize has been answered already")
        oldest, newest = _need(params, "protocol", list)[:2]
        root = _need(params, "root", str)
        if not (oldest <= _PROTOCOL[1] and newest >= _PROTOCOL[0]):
            raise StepweaveError(
                "unsupported_version",
                f"the orchestrator speaks protocol {oldest} to {newest}, "
                f"this Python runner {_PROTOCOL[0]} to {_PROTOCOL[1]}; update the older one",
            )
        self._peer.max_frame = params.get("max_frame") or frames.MAX_FRAME
        self._peer.window = params.get("window") or 1
        self._peer.streaming = bool((params.get("capabilities") or {}).get("streaming"))
        self._loader = Loader(
            root,
            self._threads,
            parses=params.get("validate") == "parse",
            middleware=params.get("middleware") or (),
        )
        self._loader.modules.install()
        self._invocations = Invocations(
            self._loop, self._peer, self._threads, self._loader.modules.is_project_file
        )
        self._peer.respond(
            id,
            {
                "protocol": min(newest, _PROTOCOL[1]),
                "runner": {
                    "name": "python",
                    "version": __version__,
                    "language": "python",
                    "language_version": ".".join(map(str, sys.version_info[:3])),
                    "msgpack": codec.name,
                },
                "extensions": [".py"],
                "max_frame": frames.MAX_FRAME,
                "window": _WINDOW,
                "capabilities": {
                    "concurrent": True,
                    "cancel": True,
                    "reload": True,
                    "parse": True,
                    "console": True,
                    "authorize": True,
                    "streaming": True,
                    "middleware": True,
                },
            },
        )
        if codec.notice:
            self._peer.log({"level": "info", "message": codec.notice})

    def load(self, id: int, params: dict[str, Any]) -> None:
        """Run a step file and answer with its config."""
        handle, path = _need(params, "step", str), _need(params, "path", str)
        self._answer(id, self._load(handle, path, _need(params, "revision", int)))

    def unload(self, id: int, params: dict[str, Any]) -> None:
        """Forget a step or one revision of it."""
        self._live().unload(_need(params, "step", str), params.get("revision"))
        self._settle_soon()
        self._peer.respond(id, None)

    def changed(self, id: int, params: dict[str, Any]) -> None:
        """Forget the modules that files reach."""
        self._peer.respond(id, self._live().changed(_need(params, "paths", list)))

    def invoke(self, id: int, params: dict[str, Any]) -> None:
        """Run a handler; it is answered when that has ended."""
        loader = self._loader or self._live()
        try:
            handle, revision, kind = params["step"], params["revision"], params["kind"]
            given, trace = params["input"], params["trace"]
        except KeyError as error:
            raise StepweaveError("invalid_params", f"invoke needs {error.args[0]}") from None
        if self._stopping:
            raise StepweaveError("shutting_down", "the Python runner is stopping")
        read = INPUTS.get(kind)
        if read is None or type(given) is not dict or type(trace) is not str:
            raise StepweaveError("invalid_params", "invoke needs a kind, input and trace")
        step = loader.step(handle, revision)
        if step.handler is None:
            message = f"{handle} has no handler; a step of this kind needs a function named handler"
            self._peer.refuse(
                id, {"code": "handler_failed", "type": "MissingHandler", "message": message}
            )
            return
        if len(self._invocations.running) >= _WINDOW:
            raise StepweaveError("busy", f"{_WINDOW} invocations are running already")
        scope = Scope(id, self._peer, handle, trace, step.flows, params)
        handler = step.handler
        if "parse" in given:
            handler = step.parsing.before(handler, scope, given)
        self._invocations.start(scope, kind, handler, read(given))

    def authorize(self, id: int, params: dict[str, Any]) -> None:
        """Ask canAccess whether a client may subscribe, or streamAuth who a client is."""
        step = self._live().step(_need(params, "step", str), params.get("revision"))
        kind = _need(params, "kind", str)
        guard = step.guards.get(kind)
        if guard is None:
            message = f"{step.handle} has no {kind:.40}"
            wire = {"code": "handler_failed", "type": "MissingHandler", "message": message}
            self._peer.refuse(id, wire)
            return
        given = values.decode(params.get("input")) or {}
        self._answer(id, self._authorize(kind, guard, given))

    def shutdown(self, id: int, params: dict[str, Any]) -> None:
        """Take nothing new, let run or cancel what runs, then answer."""
        grace_ms = _need(params, "grace_ms", int)
        self._stopping = True
        self._answer(id, self._shut_down(grace_ms / 1000))

    def ping(self, id: int, params: dict[str, Any]) -> None:
        """Say that this side still reads."""
        self._peer.respond(id, {})

    # --- notifications

    def cancel(self, params: dict[str, Any]) -> None:
        """Stop an invocation, if it still runs."""
        if self._loader is not None and type(params.get("id")) is int:
            self._invocations.cancel(params["id"], str(params.get("reason", "")))

    # --- parts

    def _live(self) -> Loader:
        if self._loader is None:
            raise StepweaveError("not_initialized", "initialize comes first")
        return self._loader

    def _initialized(
        self, method: Callable[[int, dict[str, Any]], None]
    ) -> Callable[[int, dict[str, Any]], None]:
        def checked(id: int, params: dict[str, Any]) -> None:
            self._live()
            method(id, params)

        return checked

    def _answer(self, id: int, work: Coroutine[Any, Any, Any]) -> None:
        """Answer a request with what a coroutine gives."""

        async def answer() -> None:
            try:
                self._peer.respond(id, await work)
            except StepweaveError as error:
                self._peer.refuse(id, error.to_wire())
            except Exception as error:
                self._peer.refuse(id, errors.describe(error, "internal", lambda file: False))

        task = self._loop.create_task(answer())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, handle: str, path: str, revision: int) -> Any:
        loader = self._live()
        try:
            return await loader.load(handle, path, revision)
        except BaseException as error:
            refusal = loader.describe(error, path)
        finally:
            self._settle_soon()
        raise Refusal(refusal)

    async def _authorize(self, kind: str, guard: Handler, given: dict[str, Any]) -> Any:
        asked = (
            (given.get("subscription"), given.get("auth")) if kind == "canAccess" else (given, None)
        )
        try:
            allowed = await chain([], guard, self._threads).call(*asked)
        except Exception as error:
            known = self._live().modules.is_project_file
            raise Refusal(errors.describe(error, "handler_failed", known)) from None
        return values.encode(bool(allowed) if kind == "canAccess" else allowed)

    async def _shut_down(self, grace_s: float) -> None:
        invocations = self._invocations
        for wait_s in (grace_s * 0.8, grace_s * 0.15):
            if invocations.running:
                invocations.idle = self._loop.create_future()
                await asyncio.wait([invocations.idle], timeout=wait_s)
            for id in list(invocations.running):
                invocations.cancel(id, "shutdown")
        invocations.give_up()

    def _settle_soon(self) -> None:
        """Once loading has paused, take what is loaded out of the garbage collector's sight."""
        if self._settling is not None:
            self._settling.cancel()
        self._settling = self._loop.call_later(_QUIET_S, _settle)

    def _ended(self, error: ProtocolError | None) -> None:
        """Leave: the orchestrator is gone, or what it sends cannot be read."""
        if error is not None:
            console.complain(str(error))
            os._exit(1)
        if not self._stopping or self._invocations.running:
            os._exit(0)
        self._done = True
        self._connection.close()
        self._loop.stop()

    def _unhandled(self, loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        """What nobody awaited: a refused context call, or a failed task that a handler started."""
        error = told.get("exception")
        future = told.get("future") or told.get("task")
        message = str(told.get("message", "an error in the event loop"))
        if isinstance(future, Pending):
            message = f"{future.method} was not awaited and failed: {error}"
            future.scope.log("warn", message, {"error": error})
            return
        # Here any other handler may be running: only the task itself knows whose it is.
        variables = future.get_context() if isinstance(future, _TellingTask) else None
        scope = None if variables is None else variables.get(console.running)
        if scope is not None:
            scope.log("error", message, {"error": error} if error is not None else None)
        else:
            console.complain(f"{message}\n{errors.stack(error)}" if error is not None else message)


def _need(params: dict[str, Any], name: str, kind: type) -> Any:
    value = params.get(name)
    if type(value) is not kind:
        raise StepweaveError("invalid_params", f"{name} is needed and is a {kind.__name__}")
    return value


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop where the user's environment has it, else asyncio's own."""
    try:
        import uvloop  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _settle() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()
