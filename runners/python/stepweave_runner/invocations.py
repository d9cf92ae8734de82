"""Runs handlers: on the loop or in threads, each in its scope, each answered exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from stepweave_runner import console, errors, streaming
from stepweave_runner.context import Context
from stepweave_runner.errors import Cancelled
from stepweave_runner.handlers import Handler
from stepweave_runner.parsing import InvalidInput
from stepweave_runner.peer import Peer
from stepweave_runner.results import RESULTS, InvalidResponse, InvalidResult
from stepweave_runner.scope import Scope
from stepweave_runner.streaming import Streamed
from stepweave_runner.threads import Threads, Worker

__all__ = ["Invocations"]


# How long a cancelled handler may take to end, so that what it says meanwhile is still its own.
_MOMENT_S = 0.1
_MOST_LINGERING = 16
# From Python 3.12 on a task runs at once to its first wait, within the call that makes it.
_EAGERLY: Any = {"eager_start": True} if sys.version_info >= (3, 12) else {}
_Task: Any = asyncio.Task


class Invocations:
    """The handlers that run now, by the id of their request."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        peer: Peer,
        threads: Threads,
        is_project_file: Callable[[str], bool],
    ) -> None:
        self.running: dict[int, Scope] = {}
        self.idle: asyncio.Future[None] | None = None
        """Set by who waits until nothing runs."""
        self._lingering: set[Scope] = set()
        """Those that were cancelled and answered while their handlers go on."""
        self._loop = loop
        self._peer = peer
        self._threads = threads
        self._is_project_file = is_project_file

    def start(self, scope: Scope, kind: str, handler: Handler, given: Any) -> None:
        """Run a handler with its input in a scope, and answer the scope's request."""
        self.running[scope.id] = scope
        if handler.asynchronous:
            try:
                awaitable = handler.call(given, Context(scope))
            except BaseException as failure:
                self._finish(scope, self._failure(failure, scope), None)
            else:
                self._begin(scope, kind, awaitable)
        else:
            run = contextvars.copy_context().run
            job = self._run_in_thread
            self._threads.run(lambda worker: run(job, worker, scope, kind, handler, given))

    def cancel(self, id: int, reason: str) -> None:
        """Stop an invocation if it still runs. It is answered when its handler has ended, or after
        a moment in which it did not."""
        scope = self.running.get(id)
        if scope is not None and scope.cancelled is None:
            scope.cancel(reason)
            self._loop.call_later(_MOMENT_S, self._give_up, scope)

    def give_up(self) -> None:
        """Answer now for the handlers that were cancelled and go on."""
        for scope in list(self.running.values()):
            self._give_up(scope)

    def leave(self, code: Any) -> None:
        """End the process as sys.exit does, once what was logged before is written."""
        if code is not None and not isinstance(code, int):
            console.complain(str(code))
            code = 1
        self._peer.connection.empty()
        os._exit((code or 0) & 0xFF)

    async def _run(self, scope: Scope, kind: str, awaitable: Awaitable[Any]) -> None:
        # Not before: a task that is cancelled before its first line runs none of its lines.
        scope.task = asyncio.current_task(self._loop)
        error = result = None
        try:
            if scope.cancelled is not None:
                if inspect.iscoroutine(awaitable):
                    awaitable.close()
                raise Cancelled.because(scope.cancelled)()
            result = RESULTS[kind](await awaitable, scope)
            if type(result) is Streamed:
                await streaming.send(result, scope, self._threads)
                result = None
        except BaseException as failure:
            error = self._failure(failure, scope)
        if scope.queued:
            await self._drained(scope)
            if scope.queued:  # cancelled meanwhile: what it did is not whole
                error = _cancelled(scope)
        self._finish(scope, error, result)

    def _run_in_thread(
        self, worker: Worker, scope: Scope, kind: str, handler: Handler, given: Any
    ) -> None:
        console.running.set(scope)
        error = result = None
        try:
            try:
                scope.enter(worker)
                value = handler.call(given, Context(scope))
            finally:
                scope.leave(worker)
            if inspect.isawaitable(value):
                self._peer.post(self._begin, scope, kind, value)
                return
            result = RESULTS[kind](value, scope)
            if type(result) is Streamed:
                self._peer.post(self._begin, scope, kind, _ready(value))
                return
        except BaseException as failure:
            error = self._failure(failure, scope)
        self._peer.post(self._finish, scope, error, result)

    def _begin(self, scope: Scope, kind: str, awaitable: Awaitable[Any]) -> None:
        token = console.running.set(scope)
        _Task(self._run(scope, kind, awaitable), loop=self._loop, **_EAGERLY)
        console.running.reset(token)

    async def _drained(self, scope: Scope) -> None:
        """Wait until the calls that the handler did not await have left, before its answer."""
        scope.drained = self._loop.create_future()
        while scope.queued and scope.cancelled is None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(scope.drained)

    def _give_up(self, scope: Scope) -> None:
        """Answer for a handler that goes on although it was cancelled.

        If too many do, it stays without an answer, which gets this process replaced.
        """
        if not scope.closed and len(self._lingering) < _MOST_LINGERING:
            self._lingering.add(scope)
            self._finish(scope, _cancelled(scope), None)

    def _finish(self, scope: Scope, error: dict[str, Any] | None, result: Any) -> None:
        if scope.held:
            scope.settle()
        if scope.closed:
            self._lingering.discard(scope)
            return
        scope.closed = True
        # The task's variables hold the scope: a cycle, which would leave both to the collector.
        scope.task = None
        del self.running[scope.id]
        if error is None:
            self._peer.respond(scope.id, result)
        else:
            self._peer.refuse(scope.id, error)
        if self.idle is not None and not self.running and not self.idle.done():
            self.idle.set_result(None)

    def _failure(self, failure: BaseException, scope: Scope) -> dict[str, Any]:
        """The error map of what came out of a handler. SystemExit ends the process instead."""
        if isinstance(failure, SystemExit):
            scope.settle()
            self._peer.post(self.leave, failure.code)
        if scope.cancelled is not None:
            return _cancelled(scope)
        if isinstance(failure, InvalidResponse):
            return {"code": "handler_failed", "type": "InvalidResponse", "message": str(failure)}
        if isinstance(failure, (InvalidResult, InvalidInput)):
            return failure.to_wire()
        return errors.describe(failure, "handler_failed", self._is_project_file)


async def _ready(value: Any) -> Any:
    return value


def _cancelled(scope: Scope) -> dict[str, Any]:
    return {"code": "cancelled", "message": f"{scope.step} was cancelled ({scope.cancelled})"}
