"""A running invocation: what its context calls and log records carry, and how it is stopped."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from stepweave_runner import console, errors, values
from stepweave_runner.deadline import Deadline
from stepweave_runner.peer import Peer
from stepweave_runner.pending import Pending, Read, Waiter
from stepweave_runner.threads import Worker

__all__ = ["Scope"]


class Scope:
    """Its `id` is the id of the invoke request. Open until that is answered."""

    closed = False
    cancelled: str | None = None
    """The reason, once the invocation was cancelled."""
    queued = 0
    """Context calls that wait for the orchestrator's window."""
    drained: asyncio.Future[None] | None = None
    """Set by who waits for them all to have left."""
    task: asyncio.Task[None] | None = None
    workers: set[Worker] | None = None
    """The threads that run a handler, or middleware, without async."""
    held: dict[str, str] | None = None
    """Printed text without an end of line yet, by source."""
    waiters: set[Waiter] | None = None
    """Context calls for which threads wait."""

    def __init__(
        self, id: int, peer: Peer, step: str, trace: str, flows: list[str], params: dict[str, Any]
    ) -> None:
        self.id = id
        self.peer = peer
        self.step = step
        self.trace = trace
        self.flows = flows
        self.params = params
        self._started = time.monotonic()

    @property
    def trace_id(self) -> str:
        """The 32 hex digits of the traceparent, whose form is version-trace-span-flags."""
        parts = self.trace.split("-")
        return parts[1] if len(parts) > 1 else self.trace

    def deadline(self) -> Deadline:
        """When its time is up."""
        return Deadline(self.params.get("deadline_ms"), self._started)

    def request(self, method: str, params: dict[str, Any], read: Read) -> Any:
        """Make a context call.

        On the loop it is sent at once, and what comes back can be awaited or left. In a thread
        this blocks and gives the value; in a loop of the thread's own it can be awaited there.
        Raises StepweaveError when the handler has finished, Cancelled when it was cancelled.
        """
        if self.closed or self.cancelled is not None:
            raise self._late(method)
        params["scope"] = self.id
        peer = self.peer
        loop = asyncio._get_running_loop()
        if loop is peer.loop:
            pending = Pending(loop=loop)
            pending.method, pending.scope, pending.read = method, self, read
            peer.request(method, params, pending, self)
            return pending
        waiter = Waiter(read)
        if self.waiters is None:
            self.waiters = set()
        self.waiters.add(waiter)
        waiter.add_done_callback(self.waiters.discard)
        if self.cancelled is not None:
            waiter.give_up(errors.Cancelled.because(self.cancelled)())
        else:
            peer.post(peer.request, method, params, waiter, self)
        return waiter.result() if loop is None else asyncio.wrap_future(waiter, loop=loop)

    def log(
        self, level: str, message: str, fields: dict[str, Any] | None = None, source: str = "logger"
    ) -> None:
        """Send a log record; never raises for what is in it. After the end it has no scope."""
        record: dict[str, Any] = {"level": level, "message": message, "source": source}
        if not self.closed:
            record["scope"] = self.id
        if fields:
            try:
                record["fields"] = values.encode_json(fields)
            except errors.InvalidPayload as error:
                record["fields"] = values.encode_json({"fields": f"left out: {error}"})
        self.peer.log(record)

    def cancel(self, reason: str) -> None:
        """Stop the handler, as far as Python can: at its next await, context call or bytecode."""
        if self.closed or self.cancelled is not None:
            return
        self.cancelled = reason
        if self.task is not None:
            self.task.cancel(reason)
        error = errors.Cancelled.because(reason)
        told = set()
        for waiter in list(self.waiters or ()):
            told.add(waiter.thread)
            waiter.give_up(error())
        for worker in list(self.workers or ()):
            if worker.ident not in told:
                worker.interrupt(self, error)

    def enter(self, worker: Worker) -> None:
        """From here to `leave` the current thread, a worker's, runs the handler.

        Raises Cancelled if the invocation was cancelled before.
        """
        worker.begin(self)
        if self.workers is None:
            self.workers = set()
        self.workers.add(worker)
        if self.cancelled is not None:
            raise errors.Cancelled.because(self.cancelled)()

    def leave(self, worker: Worker) -> None:
        """From here on a cancel does not reach the current thread any more."""
        worker.end()
        if self.workers is not None:
            self.workers.discard(worker)

    def _late(self, method: str) -> BaseException:
        if self.cancelled is not None:
            return errors.Cancelled.because(self.cancelled)()
        return errors.StepweaveError(
            "unknown_scope",
            f"{self.step}: its handler has finished, so {method} can no longer be called "
            "through this context; await what the handler starts",
        )

    def sent(self) -> None:
        """Count a context call that waited for the window and has left."""
        self.queued -= 1
        if not self.queued and self.drained is not None and not self.drained.done():
            self.drained.set_result(None)

    def settle(self) -> None:
        """Pass on what was printed without an end of line."""
        console.stdout.settle(self)
        console.stderr.settle(self)
