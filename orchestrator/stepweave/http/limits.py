"""What one connection may cost, and the end of a client that does not read what it is sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

__all__ = ["Limits", "SlowReader"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost, and how many there may be. Sizes are in bytes.

    `body_timeout_s` grows by a second with each kilobyte that came. `send_timeout_s` is how long
    a client may read nothing of its answer.
    """

    max_header: int = 64 << 10
    max_connections: int = 10_000
    header_timeout_s: float = 30.0
    body_timeout_s: float = 60.0
    send_timeout_s: float = 60.0


class SlowReader:
    """A client for whom more is held than fits; it is given up if it reads nothing for too long."""

    __slots__ = ("_loop", "_timeout_s", "_timer", "_transport")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.WriteTransport, timeout_s: float
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._timeout_s = timeout_s
        self._wait()

    def forget(self) -> None:
        """It reads again, or has gone."""
        self._timer.cancel()

    def _wait(self) -> None:
        left = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._timeout_s, self._look, left)

    def _look(self, left: int) -> None:
        """It has read nothing, or only a part, for as long as it may."""
        if self._transport.get_write_buffer_size() >= left:
            self._transport.abort()
        else:
            self._wait()
