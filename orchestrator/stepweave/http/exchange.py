"""One request that came as a whole, and the way of its answer without a task of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from stepweave.http.cork import Corked
from stepweave.http.request import Receive
from stepweave.http.response import Head, Reply, Send, identify, on_the_wire, send_reply

if TYPE_CHECKING:
    from stepweave.http.protocol import Protocol

__all__ = ["Application", "Exchange", "with_lines"]

Application = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]
"""An ASGI application for requests."""


class Exchange:
    """A request, and who can answer it: at once, or later in a task.

    `body` is all of the body. `lines` are headers that every answer gets whose handler has set
    no `access-control-allow-origin`.
    """

    __slots__ = ("_cycle", "_protocol", "body", "lines")

    def __init__(self, protocol: Protocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self.body = bytes(cycle.body)
        self.lines: Head = []
        # As if it had been received: what comes next is that the client leaves.
        cycle.message_event.clear()

    @property
    def scope(self) -> dict[str, Any]:
        """What ASGI knows of the request."""
        return cast(dict[str, Any], self._cycle.scope)

    def answer(self, reply: Reply, trace_id: str, request_id: str | None = None) -> None:
        """Send a whole answer, in one write; nothing is sent to a client that has left."""
        cycle = self._cycle
        if cycle.disconnected or cycle.response_started:
            return
        if cycle.flow.write_paused:
            # The client has not read the answer before this one.
            self.later(lambda _scope, _receive, send: send_reply(send, reply, trace_id, request_id))
            return
        head = reply.head
        identify(head, trace_id, request_id)
        if self.lines:
            head = with_lines(head, self.lines)
        body = reply.body if cycle.scope["method"] != "HEAD" else b""
        lines = (*cycle.default_headers, *head)
        data = on_the_wire(reply.status, lines, body, close=not cycle.keep_alive)
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        transport = cast(Corked, cycle.transport)
        transport.write_now(data)
        if not cycle.keep_alive:
            transport.close()
        cycle.on_response()
        # Else request and connection would refer to each other.
        cycle.on_response = _nothing

    def give_back(self) -> None:
        """Leave the body to an application that receives it."""
        self._cycle.message_event.set()

    def later(self, app: Application) -> None:
        """Let an application answer in a task; the body has been received already."""
        lines = self.lines

        async def serve(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
            await app(scope, receive, adding(lines, send) if lines else send)

        self._protocol.start_task(self._cycle, serve)


def with_lines(head: Head, lines: Head) -> Head:
    """The headers and these lines, unless a handler says itself which origins may read it."""
    if any(name == b"access-control-allow-origin" for name, _ in head):
        return head
    return [*head, *lines]


def adding(lines: Head, send: Send) -> Send:
    """A `send` that gives these lines to an answer (`with_lines`)."""

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = with_lines(message["headers"], lines)
        await send(message)

    return sending


def _nothing() -> None:
    """Nobody waits for the end of this answer any more."""
