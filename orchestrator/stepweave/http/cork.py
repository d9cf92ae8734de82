"""A transport with one write for each answer, not one for its head and one for its body.

A write is a system call that wakes the client; the second one of an answer costs as much as the
rest of its way through Python.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Corked"]


class Corked:
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

    def write_now(self, data: bytes) -> None:
        """Send at once, behind what was gathered: this is all that will come in this turn."""
        if self._parts:
            self._parts.append(data)
            self._flush()
        elif not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Send what was gathered, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts = self._parts
        if parts:
            self._parts = []
            if self._transport.is_closing():
                # The client left in this turn of the loop; uvloop raises for who writes then.
                return
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
