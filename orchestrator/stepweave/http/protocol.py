"""The httptools protocol, hardened: bounded heads, trailers and waits, and refusals in one form.

A request that comes in one piece meets none of the timers here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from stepweave.http import upgrades
from stepweave.http.cork import Corked
from stepweave.http.exchange import Application, Exchange
from stepweave.http.limits import Limits, SlowReader
from stepweave.http.response import error_reply, on_the_wire
from stepweave.trace import new_trace_id

__all__ = ["Protocol"]

_IDLE, _HEAD, _BODY = range(3)
"""What comes next: a request, the rest of its head, the rest of its body."""

_MOST_IGNORED = 64 << 20
"""Bytes of a refused body that are read, so that its client gets to see the refusal."""

_MOST_WAITING = 256
"""Requests of one connection that wait for the answer before theirs; each is a kilobyte here."""

_NO_HTTP = "this is no HTTP request that can be read"


class _Refused(Exception):
    """Raised out of a parser callback: the request cannot be taken."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Protocol(HttpToolsProtocol):
    """One connection; `limits` are the same for all."""

    def __init__(
        self,
        limits: Limits,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # For who has begun an answer that will not be whole, and who notes whether one was taken.
        state = {**app_state, "hang_up": self._hang_up, "gone": self._gone}
        super().__init__(config, server_state, state, _loop)
        self._limits = limits
        self._phase = _IDLE
        self._timer: asyncio.TimerHandle | None = None
        self._slow: SlowReader | None = None
        self._began_at = 0.0
        self._head_size = 0
        self._hosts = 0
        self._unfinished = -1
        self._received = 0
        self._again = b""
        self._reading = False
        self._unstarted: RequestResponseCycle | None = None
        """The request whose turn it is, while the rest of what came is read."""
        self._direct: Callable[[Exchange], bool] | None = getattr(self.app, "direct", None)
        self._running: RequestResponseCycle | None = None
        """The request that is being answered; `cycle` is the newest one."""

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection, or turn it away if there are too many."""
        corked = Corked(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(cast(asyncio.Transport, corked))
        if len(self.connections) > self._limits.max_connections:
            self._refuse(503, "there are too many connections; try again in a moment")
            return
        self._wait(self._limits.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        self._reads_again()
        running = self._running
        if running is not None and running is not self.cycle and not running.response_complete:
            # What came behind it is told by uvicorn; an answer in parts must hear of it, too.
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        super().pause_writing()
        self._slow = SlowReader(self.loop, self.transport, self._limits.send_timeout_s)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._reads_again()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that is not used; what nobody reads need not be sent first."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def handle_websocket_upgrade(self, early: bytes = b"") -> None:
        """Hand the connection over with what came behind the request; its waits are not ours."""
        self._stop_waiting()
        self.connections.discard(self)
        link = cast(Any, self.ws_protocol_class)(
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        link.connection_made(self.transport)
        self.transport.set_protocol(link)
        link.open(self.scope["method"], self.url.decode("ascii"), self.headers, early)

    # --- reading

    def data_received(self, data: bytes) -> None:
        """Read what came; several requests may begin and end in it."""
        self._unset_keepalive_if_required()
        self._reading = True
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._start()
            if self._should_upgrade():
                if self.cycle is None or self.cycle.response_complete:
                    self.handle_websocket_upgrade(data[upgrade.args[0] :])
                else:
                    self._refuse(400, "a WebSocket cannot be opened before an answer that is due")
                return
            again, self._again = self._again, b""
            self.data_received(again + data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._start()
            cause = error.__context__
            if isinstance(cause, _Refused):
                self._refuse(cause.status, str(cause))
            else:
                self._refuse(400, _NO_HTTP)
            return
        if self._phase == _IDLE:
            if self._timer is None and (self.cycle is None or self.cycle.response_complete):
                self._wait(self._limits.header_timeout_s)
        elif self._phase == _HEAD:
            self._unfinished = 0 if self._unfinished < 0 else self._unfinished + len(data)
            if self._unfinished > self._limits.max_header:
                self._refuse(431, self._too_long())
            elif self._timer is None:
                self._wait(self._limits.header_timeout_s)
        elif self._timer is None:
            self._wait(self._limits.body_timeout_s)
        self._start()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if self._timer is not None:
            self._stop_waiting()
        self._phase = _HEAD
        self._head_size = 0
        self._hosts = 0
        self._unfinished = -1
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self._head_size += len(url)
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; one after a chunked body is counted and left out."""
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self._limits.max_header:
            raise _Refused(431, self._too_long())
        if self._phase != _HEAD:
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect":
            if value.lower() == b"100-continue":
                self.expect_100_continue = True
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise _Refused(501, "a body is sent as it is, or chunked; no other coding is read")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there: the application begins."""
        if self._timer is not None:
            self._stop_waiting()
        if self._head_size > self._limits.max_header:
            raise _Refused(431, self._too_long())
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() == "1.1"):
            # With two, a proxy may have gone by the other one.
            raise _Refused(400, "a request has one Host header")
        self._phase = _BODY
        self._received = 0
        if self.parser.should_upgrade():
            if not self._should_upgrade():
                version = self.parser.get_http_version().encode()
                first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)
                self._again = upgrades.left_out(first, self.headers)
                if self._again:
                    return
            elif upgrades.has_body(self.headers):
                raise _Refused(400, "the request for a WebSocket has no body")
        super().on_headers_complete()
        if not self.pipeline:
            self._running = self.cycle
        elif len(self.pipeline) > _MOST_WAITING:
            raise _Refused(429, "there are too many requests before an answer that is due")

    def on_body(self, body: bytes) -> None:
        """A part of the body, which nobody may want any more."""
        self._received += len(body)
        cycle = self.cycle
        if cycle is not None and cycle.response_complete and self._received > _MOST_IGNORED:
            self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        if self._timer is not None:
            self._stop_waiting()
        self._phase = _IDLE
        if not self._again:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is over; the next request may begin."""
        following = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        if following is not None:
            self._running = following

    # --- answering

    def start_task(self, cycle: RequestResponseCycle, app: Application) -> None:
        """Let an application answer a request whose turn it is."""
        super()._start_asgi_task(cycle, cast(Any, app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._reading:
            self._unstarted = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def _start(self) -> None:
        """What came is read: begin to answer."""
        self._reading = False
        cycle, self._unstarted = self._unstarted, None
        if cycle is None:
            return
        if self._direct is None or cycle.more_body or cycle.waiting_for_100_continue:
            self.start_task(cycle, self.app)
            return
        exchange = Exchange(self, cycle)
        try:
            if not self._direct(exchange):
                exchange.give_back()
                self.start_task(cycle, self.app)
        except Exception as error:
            self.start_task(cycle, _failing(error))

    def _too_long(self) -> str:
        return f"the headers are over the limit of {self._limits.max_header} bytes"

    # --- waiting

    def _wait(self, timeout_s: float) -> None:
        self._began_at = self.loop.time()
        self._timer = self.loop.call_later(timeout_s, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """The client took too long, unless it was us who did not read."""
        self._timer = None
        if self.transport.is_closing():
            return
        limits = self._limits
        if self._phase == _BODY:
            allowed = limits.body_timeout_s
            if not self.cycle.response_complete:
                allowed += self._received / 1024
            left = self._began_at + allowed - self.loop.time()
            if self.flow.read_paused or left > 0:
                again = limits.body_timeout_s if self.flow.read_paused else left
                self._timer = self.loop.call_later(again, self._late)
            else:
                self._refuse(408, "the body came too slowly")
        elif self.cycle is not None and not self.cycle.response_complete:
            self._timer = self.loop.call_later(limits.header_timeout_s, self._late)
        elif self._phase == _HEAD:
            self._refuse(408, f"the headers took more than {limits.header_timeout_s:g} s")
        else:
            self.transport.close()

    def _reads_again(self) -> None:
        if self._slow is not None:
            self._slow.forget()
            self._slow = None

    def _hang_up(self) -> None:
        self.transport.close()

    def _gone(self) -> bool:
        return self.transport.is_closing()

    # --- refusing

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(400, _NO_HTTP)

    def _refuse(self, status: int, text: str) -> None:
        """Answer and hang up; only hang up where an answer was begun or an earlier one is due."""
        cycle = self.cycle
        if cycle is None or self._phase != _BODY:
            free = cycle is None or cycle.response_complete
        else:
            free = not cycle.response_started and not self.pipeline
        if free and not self.transport.is_closing():
            reply = error_reply(status, text)
            trace = (b"x-trace-id", new_trace_id().encode())
            lines = (*self.server_state.default_headers, *reply.head, trace)
            self.transport.write(on_the_wire(status, lines, reply.body, close=True))
        self._stop_waiting()
        self.transport.close()


def _failing(error: Exception) -> Application:
    """An application that ends as uvicorn knows best: with the error in the log and a 500."""

    async def fail(_scope: Any, _receive: Any, _send: Any) -> None:
        raise error

    return fail
