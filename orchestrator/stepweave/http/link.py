"""One WebSocket connection: handshake, frames, closing. What the messages mean is its client's."""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, cast

from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from stepweave.http.response import Reply, error_reply, on_the_wire
from stepweave.trace import new_trace_id

__all__ = ["Client", "Link", "Opening", "text_frame"]

_GIVE_UP_S = 1.0
"""How long the other side may take to read the last of it and to close."""
_PING = Frame(Opcode.PING, b"").serialize(mask=False)


def text_frame(body: bytes) -> bytes:
    """A message as it goes to any number of clients: nothing in it depends on the connection."""
    return Frame(Opcode.TEXT, body).serialize(mask=False)


class Client(Protocol):
    """Who speaks over a link."""

    def received(self, data: bytes) -> None: ...
    def drained(self) -> None: ...
    def gone(self) -> None: ...


Opening = Callable[["Link", Request], Awaitable[Client | Reply]]
"""Decides on a handshake: the client that speaks over the link, or why there is none."""


class Link(asyncio.Protocol):
    """A protocol for uvicorn's `ws`. Without compression, so that one frame serves all.

    Each link costs a parser and a transport, but no task and no queue: thousands of them wait.
    """

    def __init__(
        self,
        opening: Opening,
        links: set[Link],
        *,
        max_message: int,
        config: Any,
        server_state: Any,
        app_state: Any,
    ) -> None:
        self.paused = False
        """Whether more was written than the other side takes."""
        self.alive = True
        """Whether anything came since `ping`."""
        self._opening = opening
        self._links = links
        self._server_state = server_state
        # HTTP has read the request, within limits of its own; from here on there are frames.
        self._conn = ServerProtocol(
            select_subprotocol=_first_protocol, max_size=max_message, state=State.OPEN
        )
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._early = b""
        self._parts: list[bytes] = []
        self._is_text = False
        self._held = False
        self._over = False
        self._ended = False

    # --- for the client

    @property
    def buffered(self) -> int:
        """Bytes that were written and not yet taken."""
        return self._transport.get_write_buffer_size()

    def write(self, frames: bytes) -> None:
        """Send whole frames."""
        if not self._over:
            self._transport.write(frames)

    def hold(self) -> None:
        """Read nothing more until `release`."""
        if not self._held and not self._transport.is_closing():
            self._held = True
            self._transport.pause_reading()

    def release(self) -> None:
        """Go on reading."""
        if self._held and not self._transport.is_closing():
            self._held = False
            self._transport.resume_reading()

    def ping(self) -> None:
        """Ask for a sign of life, or hang up if the last one was not answered."""
        if self._held:
            return
        if not self.alive:
            self._transport.abort()
            return
        self.alive = False
        self.write(_PING)

    def close(self, code: int, reason: str) -> None:
        """Close with a code, as soon as what was written is read."""
        if self._over or self._conn.state is not State.OPEN:
            return
        self._conn.send_close(code, reason)
        self._send_answers()
        self._over = True
        self.release()
        asyncio.get_running_loop().call_later(_GIVE_UP_S, self._transport.abort)

    # --- for uvicorn

    def shutdown(self) -> None:
        """The server stops. Who follows a stream is told once the work that runs is done."""
        if self._client is None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection of a request that wants to be upgraded."""
        # The gathering transport of HTTP would only hold frames up.
        inner = getattr(transport, "inner", transport)
        self._transport = cast(asyncio.Transport, inner)
        self._server_state.connections.add(self)

    def open(
        self, method: str, target: str, head: Iterable[tuple[bytes, bytes]], early: bytes
    ) -> None:
        """Take the request; `early` is what came right behind it."""
        self._early = early
        if method != "GET":
            self._refuse(error_reply(405, f"a WebSocket is opened with GET, not {method}"))
            return
        lines = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in head)
        request = Request(target, lines)
        response = self._conn.accept(request)
        if response.status_code != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self._refuse(error_reply(response.status_code, (response.body or b"").decode().strip()))
            return
        self.hold()
        self._task = asyncio.get_running_loop().create_task(self._decide(request, response))

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self.alive = True
        if self._client is None:
            self._early += b"" if self._over else data
            return
        self._conn.receive_data(data)
        for event in self._conn.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        self._send_answers()
        if self._conn.close_expected() or self._conn.state is State.CLOSED:
            self._end()

    def eof_received(self) -> bool:
        """The other side writes nothing more, so it is gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._over = True
        self._server_state.connections.discard(self)
        self._links.discard(self)
        if self._task is not None:
            self._task.cancel()
        client, self._client = self._client, None
        if client is not None:
            client.gone()

    def pause_writing(self) -> None:
        """The transport holds as much as it wants to."""
        self.paused = True

    def resume_writing(self) -> None:
        """The transport has room again."""
        self.paused = False
        if self._client is not None and not self._over:
            self._client.drained()

    # --- parts

    async def _decide(self, request: Request, response: Response) -> None:
        """Ask whether the client is let in, and tell it."""
        try:
            decision = await self._opening(self, request)
        except Exception:
            logging.getLogger(__name__).exception("a WebSocket could not be opened")
            decision = error_reply(500, "Internal server error")
        if self._over:
            return
        if isinstance(decision, Reply):
            self._refuse(decision)
            return
        self._client = decision
        self._transport.write(response.serialize())
        self._links.add(self)
        self.release()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if not self._parts:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin or self._over or self._client is None:
            return
        message, self._parts = b"".join(self._parts), []
        try:
            if self._is_text:
                message.decode()
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_DATA, "the text is not UTF-8")
        else:
            self._client.received(message)

    def _send_answers(self) -> None:
        """Send what the protocol itself has to say: pongs, a close."""
        answers = b"".join(self._conn.data_to_send())
        if answers and not self._over:
            if self.paused:
                # It asks without end and reads nothing.
                self._transport.abort()
                return
            self._transport.write(answers)

    def _refuse(self, reply: Reply) -> None:
        """Answer the request as any other, and hang up."""
        lines = (*reply.head, (b"x-trace-id", new_trace_id().encode()))
        self._transport.write(on_the_wire(reply.status, lines, reply.body, close=True))
        self._end()

    def _end(self) -> None:
        """Hang up once all is sent, and in any case soon."""
        self._over = True
        if self._ended:
            return
        self._ended = True
        conn, transport = self._conn, self._transport
        if conn.close_sent is not None and conn.close_rcvd is None and transport.can_write_eof():
            # With more of its bytes on their way, a close would take back what was sent.
            transport.write_eof()
        else:
            transport.close()
        asyncio.get_running_loop().call_later(_GIVE_UP_S, transport.abort)


def _first_protocol(_conn: ServerProtocol, offered: Any) -> Subprotocol | None:
    """Browsers hang up when they offer protocols, a token perhaps, and none is taken."""
    return offered[0] if offered else None
