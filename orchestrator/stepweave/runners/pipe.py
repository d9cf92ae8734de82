"""The writing end of a child's stdin: writes at once, and keeps what the pipe has no room for."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections import deque

__all__ = ["PipeWriter", "open_pipe"]

_SIZE = 1 << 20
_F_SETPIPE_SZ = 1031


def open_pipe() -> tuple[int, PipeWriter]:
    """A pipe of a megabyte where the system allows it: the descriptor to give away, the writer."""
    reading, writing = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(writing, _F_SETPIPE_SZ, _SIZE)
    os.set_blocking(writing, False)
    return reading, PipeWriter(writing)


class PipeWriter:
    """Owns a descriptor. An event loop's transport would hold each write back until the loop
    turns, which keeps the reader waiting while there is work for it."""

    __slots__ = ("_closing", "_descriptor", "_loop", "_waiting")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[memoryview] = deque()
        self._closing = False

    def write(self, data: bytes) -> None:
        """Write what fits now and the rest when there is room; dropped if nobody reads any more."""
        if self._closing:
            return
        if self._waiting:
            self._waiting.append(memoryview(data))
            return
        written = self._try(data)
        if written < len(data):
            self._waiting.append(memoryview(data)[written:])
            self._loop.add_writer(self._descriptor, self._drain)

    def close(self) -> None:
        """End of file for the reader, after what waits to be written."""
        if not self._closing:
            self._closing = True
            if not self._waiting:
                self._end()

    def abort(self) -> None:
        """Let go of the descriptor at once."""
        self._closing = True
        if self._waiting:
            self._waiting.clear()
            self._loop.remove_writer(self._descriptor)
        self._end()

    def _try(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # the reader is gone; its end is noticed elsewhere

    def _drain(self) -> None:
        while self._waiting:
            data = self._waiting[0]
            written = self._try(data)
            if written < len(data):
                self._waiting[0] = data[written:]
                return
            self._waiting.popleft()
        self._loop.remove_writer(self._descriptor)
        if self._closing:
            self._end()

    def _end(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
