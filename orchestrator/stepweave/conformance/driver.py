"""The runner under test: a child process whose frames, stderr and end can be waited for."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from stepweave.conformance import wire

__all__ = ["Child", "Gone", "Silent", "Trace"]

Trace = Callable[[str, str], None]
"""Told each frame as (direction, text); the direction is an arrow."""


class Gone(Exception):
    """The process has ended or closed its output; the message says how."""


class Silent(Exception):
    """Nothing came within the limit."""


class Child:
    """A started runner.

    Frames are read at once and kept until they are received, unless reading is held: then
    the pipe fills up, as it does when an orchestrator is busy.
    """

    def __init__(self, process: anyio.abc.Process, max_frame: int, trace: Trace | None) -> None:
        self._process = process
        self._reader = wire.Reader(max_frame)
        self._trace = trace
        self._push, self._frames = anyio.create_memory_object_stream[Any](math.inf)
        self._stderr = bytearray()
        self._stderr_grown = anyio.Event()
        self._reading = anyio.Event()
        self._reading.set()
        self._closed = False

    @classmethod
    async def start(
        cls,
        tasks: anyio.abc.TaskGroup,
        argv: Sequence[str],
        environment: Mapping[str, str],
        root: Path,
        *,
        max_frame: int,
        trace: Trace | None = None,
    ) -> Child:
        """Spawn the command; its readers run in `tasks` until it ends. Raises OSError."""
        process = await anyio.open_process(
            argv, cwd=root, env=environment, stderr=-1, start_new_session=True
        )
        child = cls(process, max_frame, trace)
        tasks.start_soon(child._read_frames)
        tasks.start_soon(child._read_stderr)
        return child

    @property
    def stderr(self) -> str:
        """What it has written to stderr so far."""
        return self._stderr.decode(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether no more can be sent to it."""
        return self._closed or self._process.returncode is not None

    async def send(self, *frames: Any, bytewise: bool = False) -> None:
        """Write frames in one piece, or each byte on its own. Raises Gone."""
        for value in frames:
            self._tell("→", value)
        data = b"".join(wire.pack(value) for value in frames)
        if not bytewise:
            await self.send_raw(data)
            return
        for position in range(len(data)):
            await self.send_raw(data[position : position + 1])

    async def send_raw(self, data: bytes) -> None:
        """Write bytes as they are. Raises Gone."""
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError) as error:
            raise Gone(await self.how_it_ended()) from error

    async def receive(self, limit_s: float) -> Any:
        """The next frame.

        Raises Silent after the limit, Gone at the end, wire.Broken for what is no frame.
        """
        try:
            with anyio.fail_after(limit_s):
                value = await self._frames.receive()
        except TimeoutError as error:
            raise Silent(f"nothing came for {limit_s:g} s") from error
        except anyio.EndOfStream as error:
            raise Gone(await self.how_it_ended()) from error
        if isinstance(value, wire.Broken):
            raise value
        return value

    def hold(self, held: bool) -> None:
        """Stop or go on reading its output."""
        if held:
            self._reading = anyio.Event()
        else:
            self._reading.set()

    async def close_stdin(self) -> None:
        """Let it read the end of its input."""
        self._closed = True
        assert self._process.stdin is not None
        await self._process.stdin.aclose()

    async def exit_code(self, limit_s: float) -> int:
        """Its exit code, waited for. Raises Silent after the limit."""
        try:
            with anyio.fail_after(limit_s):
                return await self._process.wait()
        except TimeoutError as error:
            raise Silent(f"the runner still runs after {limit_s:g} s") from error

    async def wait_for_stderr(self, text: str, limit_s: float) -> None:
        """Return when stderr holds the text. Raises Silent after the limit."""
        try:
            with anyio.fail_after(limit_s):
                while text not in self.stderr:
                    self._stderr_grown = anyio.Event()
                    await self._stderr_grown.wait()
        except TimeoutError as error:
            raise Silent(f"stderr did not show {text!r} for {limit_s:g} s") from error

    async def how_it_ended(self) -> str:
        """A clause for messages; a process that just closed its pipes gets a moment to leave."""
        with anyio.move_on_after(1):
            await self._process.wait()
        code = self._process.returncode
        if code is None:
            return "the runner closed its output and still runs"
        if code < 0:
            return f"the runner was ended by {signal.Signals(-code).name}"
        return f"the runner left with exit code {code}"

    async def kill(self) -> None:
        """End it and everything it started."""
        self._reading.set()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.aclose()
        self._frames.close()

    async def _read_frames(self) -> None:
        assert self._process.stdout is not None
        try:
            async for data in self._process.stdout:
                await self._reading.wait()
                for value in self._reader.feed(data):
                    self._tell("←", value)
                    self._push.send_nowait(value)
        except wire.Broken as error:
            self._push.send_nowait(error)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self._push.close()

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in self._process.stderr:
                self._stderr += data
                self._stderr_grown.set()

    def _tell(self, direction: str, value: Any) -> None:
        if self._trace is not None:
            self._trace(direction, wire.show(value, 4000))
