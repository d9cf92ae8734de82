"""Answers in parts: from a handler to a connection, no faster than its client reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stepweave.calls import Call
from stepweave.errors import StoreFailed
from stepweave.http.request import Receive
from stepweave.http.response import Head, Send, has_body, identify
from stepweave.streamed import Streamed

__all__ = ["Durable", "Streaming"]


class Durable(Protocol):
    """The part of the store that the edge waits for."""

    def synced(self, sequence: int) -> bool: ...
    async def sync(self, sequence: int) -> None: ...


class Streaming:
    """Sends the answers that are given in parts.

    `timeout_s` is how long one may take from its head on, 0 without an end; None leaves it at
    the time limit of the step. `cancel` stops a call.
    """

    def __init__(
        self, store: Durable, cancel: Callable[[Call, str], None], timeout_s: float | None
    ) -> None:
        self._store = store
        self._cancel = cancel
        self._timeout_s = timeout_s
        self._running: set[Call] = set()

    def wind_up(self) -> None:
        """Stop the handlers of all answers that still go on."""
        for call in list(self._running):
            self._cancel(call, "shutdown")

    async def send(
        self,
        call: Call,
        streamed: Streamed,
        head: Head,
        ids: tuple[str, str | None],
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> bool:
        """Send one answer; True once it is whole, False when the client has none or half of it.

        Returns after the run has ended. Raises StoreFailed before anything was sent.
        """
        self._running.add(call)
        gone = asyncio.get_running_loop().create_task(self._watch(call, streamed, receive))
        try:
            await self._durable(call)
            if self._timeout_s is not None:
                limit = self._timeout_s
                call.deadline = time.monotonic() + limit if limit else None
            wanted = scope["method"] != "HEAD" and has_body(streamed.status)
            identify(head, *ids)
            await send({"type": "http.response.start", "status": streamed.status, "headers": head})
            streamed.begin(wanted=wanted)
            whole = await self._parts(call, streamed, send)
            if whole or not wanted:
                await send({"type": "http.response.body", "body": b""})
            else:
                _hang_up(scope)
                await gone
            return whole
        except StoreFailed:
            self._cancel(call, "client")
            raise
        except asyncio.CancelledError:
            self._cancel(call, "shutdown")
            raise
        finally:
            streamed.abandon()
            self._running.discard(call)
            gone.cancel()

    async def _parts(self, call: Call, streamed: Streamed, send: Send) -> bool:
        while True:
            part = await streamed.part()
            if part is None:
                break
            data, done = part
            try:
                await self._durable(call)
            except StoreFailed as error:
                done(error, None)
                continue
            if data:
                await send({"type": "http.response.body", "body": data, "more_body": True})
            done(None, None)
        await streamed.ended()
        return bool(streamed.outcome.status == "ok")

    async def _durable(self, call: Call) -> None:
        if call.wrote and not self._store.synced(call.wrote):
            await self._store.sync(call.wrote)

    async def _watch(self, call: Call, streamed: Streamed, receive: Receive) -> None:
        """Stop the handler when its client has gone."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if streamed.outcome is None:
            self._cancel(call, "client")
        streamed.abandon()


def _hang_up(scope: Mapping[str, Any]) -> None:
    """End the connection without the end of the answer, which is how its client notices."""
    hang_up = scope["state"].get("hang_up")
    if hang_up is not None:
        hang_up()
