"""Calls per second over a bare pipe: `python -m benchmarks.bare.pipe_calls LANGUAGE DEPTH SECONDS`.

A raw protocol on uvloop writes request frames to an echo child and keeps DEPTH of them open.
Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from pathlib import Path
from typing import cast

import msgpack
import uvloop

from benchmarks import calls

HERE = Path(__file__).parent
PREFIX = struct.Struct(">I")
COMMANDS = {
    "python": [sys.executable, str(HERE / "echo.py")],
    "node": ["node", str(HERE / "node" / "echo.mjs")],
    "ruby": ["ruby", "--yjit", "--yjit-exec-mem-size=16", str(HERE / "echo.rb")],
}


def one_frame() -> bytes:
    """A request frame, length and all."""
    body: bytes = msgpack.packb((0, 1, "invoke", calls.PARAMS))
    return PREFIX.pack(len(body)) + body


class Pipe(asyncio.SubprocessProtocol):
    """The child, with open calls by id; frames of one loop turn leave in one write."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.open: dict[int, calls.Done] = {}
        self.buffer = b""
        self.frames: list[bytes] = []
        self.next_id = 0
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, though they have their methods.
        self.stdin = cast("asyncio.SubprocessTransport", transport).get_pipe_transport(0)

    def call(self, done: calls.Done) -> None:
        """Send one request; `done` is called with its answer."""
        self.next_id += 1
        self.open[self.next_id] = done
        body = msgpack.packb((0, self.next_id, "invoke", calls.PARAMS))
        if not self.frames:
            self.loop.call_soon(self._flush)
        self.frames += (PREFIX.pack(len(body)), body)

    def _flush(self) -> None:
        frames, self.frames = b"".join(self.frames), []
        self.stdin.write(frames)  # type: ignore[union-attr]

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.buffer += data
        at = 0
        while len(self.buffer) - at >= 4:
            (size,) = PREFIX.unpack_from(self.buffer, at)
            if len(self.buffer) - at - 4 < size:
                break
            _, request_id, _, result = msgpack.unpackb(self.buffer[at + 4 : at + 4 + size])
            at += 4 + size
            self.open.pop(request_id)(result)
        self.buffer = self.buffer[at:]

    def process_exited(self) -> None:
        if self.open:
            sys.exit("the echo child ended early")
        self.ended.set()


async def main(language: str, depth: int, seconds: float) -> calls.Figures:
    """Figures of the closed loop with this child."""
    loop = asyncio.get_running_loop()
    transport, pipe = await loop.subprocess_exec(Pipe, *COMMANDS[language], stderr=None)
    figures = await calls.closed_loop(pipe.call, depth, seconds)
    transport.get_pipe_transport(0).close()  # type: ignore[union-attr]
    await pipe.ended.wait()
    return figures


if __name__ == "__main__":
    _, given_language, given_depth, given_seconds = sys.argv
    print(json.dumps(uvloop.run(main(given_language, int(given_depth), float(given_seconds)))))
