"""Frames in and out over two descriptors of an event loop. It knows nothing of what they mean."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from typing import Any

from stepweave_runner import frames
from stepweave_runner.codec import Codec
from stepweave_runner.errors import ProtocolError

__all__ = ["Connection"]

_READ_SIZE = 1 << 18
_PIPE_SIZE = 1 << 20
_F_SETPIPE_SZ = 1031
_FLUSH_AT = 256
# Calls that threads have posted are made so many in a turn of the loop, which may have to tell the
# very thread that posts them without end to stop.
_POSTED_A_TURN = 256
_MOMENT_S = 0.001


class Connection:
    """Reads without ever waiting for its writes. What is sent in one turn leaves in one write.

    `receive` gets each value, `ended` is called once with None at the end of the input or with
    the reason why the connection is of no use any more. Everything but `post` belongs to the
    thread of the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reading: int,
        writing: int,
        codec: Codec,
        receive: Callable[[Any], None],
        ended: Callable[[ProtocolError | None], None],
    ) -> None:
        self._loop = loop
        self._reading = reading
        self._writing = writing
        self._receive = receive
        self._ended = ended
        self._decoder = frames.Decoder(codec.unpack)
        self._thread = get_ident()
        self._out: list[bytes] = []
        self._rest: memoryview | None = None
        self._scheduled = False
        self._posted: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._woken = False

    @property
    def queued(self) -> int:
        """Frames that wait to be written, those of other threads included."""
        return len(self._out) + len(self._posted)

    def open(self) -> None:
        """Begin to read."""
        for descriptor in (self._reading, self._writing):
            os.set_blocking(descriptor, False)
            _widen(descriptor)
        self._loop.add_reader(self._reading, self._readable)

    def close(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self._reading)

    def send(self, frame: bytes) -> None:
        """Send a frame with the others of this turn of the loop."""
        self._out.append(frame)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)
        elif not len(self._out) % _FLUSH_AT and self._rest is None:
            self._write()

    def post(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function in the thread of the loop: now if this is it, else soon.

        What one thread posts is called in the order in which it was posted.
        """
        if get_ident() == self._thread:
            function(*args)
            return
        self._posted.append((function, args))
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except BaseException:
                # A handler that is cancelled may be interrupted in here: nobody woke the loop.
                self._woken = False
                raise

    def hold_up(self) -> None:
        """Keep the current thread for a moment, if it is not the loop's: it says too much."""
        if get_ident() != self._thread:
            time.sleep(_MOMENT_S)

    def flush(self) -> None:
        """Write what is queued, as far as the pipe takes it; the rest follows by itself."""
        self._scheduled = False
        if self._rest is None and self._out:
            self._write()

    def empty(self) -> None:
        """Write what is queued and wait until it is written: for the last words of a process."""
        self._call_posted(len(self._posted))
        os.set_blocking(self._writing, True)
        rest = b"" if self._rest is None else bytes(self._rest)
        data = rest + b"".join(self._out)
        self._out, self._rest = [], None
        try:
            while data:
                data = data[os.write(self._writing, data) :]
        except OSError:
            pass  # nobody listens any more

    def abandon(self) -> None:
        """Close the descriptors in a forked child, which has no part in this connection."""
        for descriptor in (self._reading, self._writing):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _readable(self) -> None:
        try:
            data = os.read(self._reading, _READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._ended(None)
            return
        # What is answered while reading leaves at the end of this turn, without another.
        outer, self._scheduled = self._scheduled, True
        try:
            for value in self._decoder.feed(data):
                self._receive(value)
        except ProtocolError as error:
            self._ended(error)
        self._scheduled = outer
        if not outer:
            self.flush()

    def _write(self) -> None:
        data = b"".join(self._out) if len(self._out) > 1 else self._out[0]
        self._out = []
        written = self._put(data)
        if written < len(data):
            self._rest = memoryview(data)[written:]
            self._loop.add_writer(self._writing, self._writable)

    def _writable(self) -> None:
        assert self._rest is not None
        self._rest = self._rest[self._put(self._rest) :]
        if len(self._rest):
            return
        self._rest = None
        self._loop.remove_writer(self._writing)
        if self._out:
            self._write()

    def _put(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._writing, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._ended(None)
            return len(data)

    def _drain(self) -> None:
        self._woken = False
        self._call_posted(_POSTED_A_TURN)
        if self._posted and not self._woken:
            self._woken = True
            self._loop.call_soon(self._drain)

    def _call_posted(self, most: int) -> None:
        posted = self._posted
        while posted and most:
            most -= 1
            function, args = posted.popleft()
            try:
                function(*args)
            except Exception as error:
                message = "a call from another thread failed"
                self._loop.call_exception_handler({"message": message, "exception": error})


def _widen(descriptor: int) -> None:
    """Give a pipe a larger buffer, where the system allows it: fewer calls for large frames."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_SIZE)
    except (ImportError, OSError):
        pass
