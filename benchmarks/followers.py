"""Many WebSocket clients in one process: `python -m benchmarks.followers HOST PORT CLIENTS PATH`.

It joins with each of them, prints "ready", and for each number on stdin makes the server send
that many documents: by a POST to PATH with {"count": …}, or without one by a message. It prints
the seconds until every client had all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import struct
import sys
import time
from typing import cast

import orjson
import uvloop

_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_JOIN = orjson.dumps(
    {"type": "join", "data": {"streamName": "bench", "groupId": "g", "subscriptionId": "1"}}
)
_AT_ONCE = 100


class Crowd:
    """What all clients share: how many documents are still to come."""

    def __init__(self) -> None:
        self.missing = 0
        self.all_here = asyncio.Event()

    def expect(self, documents: int) -> None:
        self.missing = documents
        self.all_here.clear()

    def got(self, documents: int) -> None:
        self.missing -= documents
        if self.missing <= 0:
            self.all_here.set()


class Client(asyncio.Protocol):
    """Counts the frames that come, and reads no more of them than their length."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.open = False
        self.buffer = b""
        self.skip = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, though they have their methods.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(_HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if not self.open:
            self.buffer += data
            head, end, data = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head, head
            self.open, self.buffer = True, b""
            self.say(_JOIN)
        self.crowd.got(self._frames(data))

    def say(self, text: bytes) -> None:
        """Send a short message."""
        size = len(text)
        head = (
            struct.pack("!BB", 0x81, 0x80 | size)
            if size < 126
            else (struct.pack("!BBH", 0x81, 0xFE, size))
        )
        self.transport.write(head + b"\0\0\0\0" + text)

    def _frames(self, data: bytes) -> int:
        """How many text frames begin in the data."""
        if self.buffer:
            data, self.buffer = self.buffer + data, b""
        count, at, size = 0, self.skip, len(data)
        while at < size:
            if size - at < 4:
                self.buffer, at = data[at:], size
                break
            length = data[at + 1]
            count += data[at] == 0x81
            at += 4 + (data[at + 2] << 8 | data[at + 3]) if length == 126 else 2 + length
        self.skip = at - size
        return count


async def main() -> None:
    host, port, clients, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    crowd = Crowd()
    everybody: list[Client] = []
    while len(everybody) < clients:
        some = min(_AT_ONCE, clients - len(everybody))
        crowd.expect(some)  # each gets a snapshot
        made = (loop.create_connection(lambda: Client(crowd), host, port) for _ in range(some))
        everybody += [client for _, client in await asyncio.gather(*made)]
        await crowd.all_here.wait()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        crowd.expect(int(line) * clients)
        began = time.perf_counter()
        if path:
            posting = loop.create_task(_post(host, port, path, int(line)))
        else:
            everybody[0].say(line.strip().encode())
        await crowd.all_here.wait()
        print(time.perf_counter() - began, flush=True)
        if path:
            await posting


async def _post(host: str, port: int, path: str, count: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    body = orjson.dumps({"count": count})
    writer.write(
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head, head
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


if __name__ == "__main__":
    uvloop.run(main())
