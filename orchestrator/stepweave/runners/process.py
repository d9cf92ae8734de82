"""One operating-system process with its pipes: spawned, written to, heard and put down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import cast

from stepweave.runners.launch import Launch
from stepweave.runners.pipe import PipeWriter, open_pipe

__all__ = ["Process"]

_LONGEST_LINE = 64 * 1024
_LAST_WORDS_S = 0.1
_LAST_FRAMES_S = 1.0


class Process(asyncio.SubprocessProtocol):
    """A process in a session of its own, so that what it starts can be ended with it.

    `on_output` takes what it writes to stdout, `on_line` each line of its stderr, and `on_end`
    fires once, when all that it wrote has been read and its exit code is known.
    """

    def __init__(
        self,
        on_output: Callable[[bytes], None],
        on_line: Callable[[str], None],
        on_end: Callable[[], None],
    ) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self.exited = asyncio.Event()
        self.last_line = ""
        self._on_output = on_output
        self._on_line = on_line
        self._on_end = on_end
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: PipeWriter | None = None
        self._stderr = bytearray()
        self._ended_pipes: set[int] = set()

    async def spawn(self, launch: Launch) -> None:
        """Start it. Raises OSError when the system will not."""
        reading, self._stdin = open_pipe()
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                *launch.argv,
                stdin=reading,
                env=launch.env,
                cwd=str(launch.root),
                start_new_session=True,
            )
        except OSError:
            self._stdin.abort()
            raise
        finally:
            os.close(reading)
        launch.on_spawn(self.pid)

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._transport is not None and self.returncode is None

    def write(self, data: bytes) -> None:
        """Write to its stdin."""
        if self._stdin is not None:
            self._stdin.write(data)

    def close_input(self) -> None:
        """End its stdin, after what waits to be written."""
        if self._stdin is not None:
            self._stdin.close()

    def signal(self, number: int) -> None:
        """Send a signal to it and all in its session; to one that has ended, nothing."""
        if self.pid and self.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def ended(self) -> str:
        """How it ended, in words."""
        code = self.returncode
        if code is None:
            return "ended"
        return (
            f"was killed by {signal.Signals(-code).name}"
            if code < 0
            else f"left with exit code {code}"
        )

    def last_words(self) -> str:
        """The last line of its stderr, as the end of a sentence."""
        return f"; its last line: {self.last_line}" if self.last_line else ""

    # --- asyncio.SubprocessProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport has the methods of asyncio's without being one.
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self.pid = self._transport.get_pid() or 0

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._on_output(data)
        else:
            self._stderr_data(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._ended_pipes.add(fd)
        if fd == 1 and self.returncode is None:
            asyncio.get_running_loop().call_later(1.0, self.signal, signal.SIGKILL)
        self._end()

    def process_exited(self) -> None:
        assert self._transport is not None
        self.returncode = self._transport.get_returncode()
        self._end()
        if not self.exited.is_set():
            loop = asyncio.get_running_loop()
            # Twice, so that after a stall of this side its pipe is read in between.
            loop.call_later(_LAST_FRAMES_S, loop.call_later, _LAST_WORDS_S, self._settle)

    # --- parts

    def _end(self) -> None:
        """Settle once its frames and last words are read and its exit code is known.

        Its pipes may live on in a grandchild, so their ends are not waited for long.
        """
        if 1 not in self._ended_pipes or self.returncode is None:
            return
        if 2 in self._ended_pipes:
            self._settle()
        else:
            asyncio.get_running_loop().call_later(_LAST_WORDS_S, self._settle)

    def _settle(self) -> None:
        if self.exited.is_set():
            return
        if self._transport is not None:
            self._transport.close()
        if self._stdin is not None:
            self._stdin.abort()
        self.exited.set()
        self._on_end()

    def _stderr_data(self, data: bytes) -> None:
        self._stderr += data
        *lines, rest = self._stderr.split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = bytearray()
        self._stderr = bytearray(rest)
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            if text.strip():
                self.last_line = text
                self._on_line(text)
