"""Starts chains over HTTP and hears their ends as datagrams, a given number at once."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import cast
from urllib.parse import urlsplit

from benchmarks.processes import NotAvailable
from benchmarks.rounds import Figures

__all__ = ["walk"]

_LIMIT_S = 60.0


async def walk(base: str, depth: int, seconds: float, pause_s: float = 0.0) -> Figures:
    """Keep `depth` chains going for `seconds`; each waits `pause_s` before its next.

    Returns the latency of chains and of HTTP answers, p50 and p99 in µs, chains and chains/s.
    Raises NotAvailable when an answer is an error or a chain does not end.
    """
    loop = asyncio.get_running_loop()
    ends: dict[int, Walker] = {}
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Ends(ends), local_addr=("127.0.0.1", 0)
    )
    port: int = transport.get_extra_info("sockname")[1]
    target = urlsplit(base)
    host, http_port = target.hostname or "127.0.0.1", target.port or 80
    began = time.perf_counter()
    walkers = [Walker(number, port, began + seconds, pause_s) for number in range(depth)]
    for number, walker in enumerate(walkers):
        ends[number] = walker
        await loop.create_connection(partial(_itself, walker), host, http_port)
    try:
        async with asyncio.timeout(seconds + _LIMIT_S):
            await asyncio.gather(*(walker.finished for walker in walkers))
    except TimeoutError:
        raise NotAvailable(f"a chain did not end within {_LIMIT_S:g} s") from None
    finally:
        transport.close()
        for walker in walkers:
            walker.transport.close()
    took = time.perf_counter() - began
    chains = sorted(each for walker in walkers for each in walker.chains)
    answers = sorted(each for walker in walkers for each in walker.answers)
    return {
        "p50 µs": chains[len(chains) // 2] * 1e6,
        "p99 µs": chains[len(chains) * 99 // 100] * 1e6,
        "answer p50 µs": answers[len(answers) // 2] * 1e6,
        "answer p99 µs": answers[len(answers) * 99 // 100] * 1e6,
        "chains": len(chains),
        "chains/s": len(chains) / took,
    }


class Walker(asyncio.Protocol):
    """One connection that starts a chain when its last one was answered and has ended."""

    def __init__(self, number: int, port: int, until: float, pause_s: float) -> None:
        body = json.dumps({"chain": number, "port": port}).encode()
        self._request = (
            b"POST /bench/chain HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        ) + body
        self._until = until
        self._pause_s = pause_s
        self._sent_at = 0.0
        self._open = 0
        self.chains: list[float] = []
        self.answers: list[float] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 202"):
            self._fail(data[:200].decode(errors="replace"))
            return
        self.answers.append(time.perf_counter() - self._sent_at)
        self._part_done()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the server closed the connection")

    def ended(self) -> None:
        """The last handler of the chain has run."""
        self.chains.append(time.perf_counter() - self._sent_at)
        self._part_done()

    def _part_done(self) -> None:
        self._open -= 1
        if self._open:
            return
        if time.perf_counter() >= self._until:
            self.finished.set_result(None)
        elif self._pause_s:
            asyncio.get_running_loop().call_later(self._pause_s, self._next)
        else:
            self._next()

    def _next(self) -> None:
        self._open = 2
        self._sent_at = time.perf_counter()
        self.transport.write(self._request)

    def _fail(self, reason: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(NotAvailable(f"/bench/chain: {reason}"))


def _itself(walker: Walker) -> Walker:
    return walker


class _Ends(asyncio.DatagramProtocol):
    def __init__(self, walkers: dict[int, Walker]) -> None:
        self._walkers = walkers

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        self._walkers[int(data)].ended()
