"""A small HTTP load client on raw protocols, for machines without wrk.

`python -m benchmarks.client URL BODY CONNECTIONS SECONDS` prints one line of JSON. It reads
just enough of an answer to know its end: status, content-length and connection.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop


class Load:
    """What all connections share: the request, the end of the run and the figures."""

    def __init__(self, url: str, body: str, seconds: float) -> None:
        target = urlsplit(url)
        content = body.encode()
        self.host, self.port = target.hostname or "127.0.0.1", target.port or 80
        self.request = (
            f"POST {target.path} HTTP/1.1\r\nhost: {target.netloc}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        ).encode() + content
        self.until = time.perf_counter() + seconds
        self.latencies: list[float] = []
        self.failed = 0

    async def keep_one_open(self) -> None:
        """Hold one connection until the end, though a server such as Puma may close it early."""
        loop = asyncio.get_running_loop()
        while time.perf_counter() < self.until:
            made = loop.create_connection(lambda: Connection(self), self.host, self.port)
            _, protocol = await made
            await protocol.closed.wait()


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends the next request when an answer is complete."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.closed = asyncio.Event()
        self.missing = 0
        self.last = False
        self.buffer = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, though they have their methods.
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self.missing -= len(data)
        elif not self._head(data):
            return
        if self.missing == 0:
            now = time.perf_counter()
            self.load.latencies.append(now - self.sent_at)
            if now < self.load.until and not self.last:
                self._send()
            else:
                self.last = True
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.failed += not self.last
        self.closed.set()

    def _head(self, data: bytes) -> bool:
        """Take bytes until the head is whole; says whether it is."""
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.buffer[:end].lower()
        self.load.failed += head[9:10] != b"2"
        self.last = b"\r\nconnection: close" in head
        at = head.index(b"content-length:") + len(b"content-length:")
        self.missing = int(head[at:].split(b"\r\n", 1)[0]) - (len(self.buffer) - end - 4)
        self.buffer = b""
        return True

    def _send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(self.load.request)


async def run(url: str, body: str, connections: int, seconds: float) -> dict[str, float]:
    """Load the URL; returns requests, seconds, failed, p50_us and p99_us."""
    began = time.perf_counter()
    load = Load(url, body, seconds)
    await asyncio.gather(*(load.keep_one_open() for _ in range(connections)))
    took = time.perf_counter() - began
    latencies = sorted(load.latencies)
    return {
        "requests": len(latencies),
        "seconds": took,
        "failed": load.failed,
        "p50_us": latencies[len(latencies) // 2] * 1e6,
        "p99_us": latencies[len(latencies) * 99 // 100] * 1e6,
    }


if __name__ == "__main__":
    _, given_url, given_body, given_connections, given_seconds = sys.argv
    figures = run(given_url, given_body, int(given_connections), float(given_seconds))
    print(json.dumps(uvloop.run(figures)))
