"""The httptools protocol with one write for each answer, not one for its head and one for its body.

A write is a system call that wakes the client; the second one of an answer costs as much as the
rest of its way through Python. What is not HTTP, or never comes to the end of its headers, is
refused here, in the form of all errors.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from stepweave.http.response import error_reply
from stepweave.trace import new_trace_id

__all__ = ["CorkedProtocol"]

_MOST_HEAD = 64 * 1024
"""Bytes that may come before the headers of a request end; those of one read are not counted."""


class _Corked:
    """A transport that gathers what is written during one turn of the loop."""

    __slots__ = ("_loop", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    @property
    def inner(self) -> asyncio.Transport:
        """The transport itself, for a connection that is HTTP no more."""
        self._flush()
        return self._transport

    def write(self, data: bytes) -> None:
        """Send with what else is written before the loop turns."""
        if not data:
            return
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Send what was gathered, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts = self._parts
        if parts:
            self._parts = []
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class CorkedProtocol(HttpToolsProtocol):
    """The httptools protocol over a gathering transport."""

    _head_size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection."""
        corked = _Corked(cast(asyncio.Transport, transport), asyncio.get_running_loop())
        super().connection_made(cast(asyncio.Transport, corked))

    def data_received(self, data: bytes) -> None:
        """Read what came. Headers that do not end are refused."""
        super().data_received(data)
        if self.scope is None or "path" in self.scope:
            self._head_size = 0
            return
        self._head_size += len(data)
        if self._head_size > _MOST_HEAD and not self.transport.is_closing():
            self._refuse(431, f"the headers are over the limit of {_MOST_HEAD} bytes")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(400, "this is no HTTP request that can be read")

    def _refuse(self, status: int, text: str) -> None:
        """Answer and hang up; only hang up while the answer to an earlier request is due."""
        cycle = self.cycle
        own_body = cycle is not None and cycle.more_body and not self.pipeline
        if cycle is None or cycle.response_complete or (own_body and not cycle.response_started):
            reply = error_reply(status, text)
            trace = (b"x-trace-id", new_trace_id().encode())
            head = (*self.server_state.default_headers, *reply.head, trace)
            lines = b"".join(b"%b: %b\r\n" % line for line in head)
            close = b"connection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + lines + close + reply.body)
        self.transport.close()
