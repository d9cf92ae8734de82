"""Clients that are slow, greedy or too many: each is cut off, and the others are served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from tests.flows.harness import LIMIT_S, Running, start
from tests.http.wire import Answer, Wire, ask, connect, request

pytestmark = pytest.mark.anyio

FILES = {
    "steps/echo.step.py": """
        config = {"type": "api", "name": "Echo", "method": "POST", "path": "/echo"}

        async def handler(req, context):
            return {"status": 200, "body": {"raw": len(req.raw_body), "headers": req.headers}}
        """,
    "steps/big.step.py": """
        config = {"type": "api", "name": "Big", "method": "GET", "path": "/big"}

        async def handler(req, context):
            return {"status": 200, "body": b"x" * 12_000_000}
        """,
}
GET = b"POST /echo HTTP/1.1\r\nhost: x\r\n"
CHUNKED = request("POST", "/echo", ("transfer-encoding", "chunked"))


@pytest.fixture(scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A server without patience."""
    async with start(
        tmp_path_factory.mktemp("hasty"),
        FILES,
        STEPWEAVE_SERVER_HEADER_TIMEOUT_S="0.3",
        STEPWEAVE_SERVER_BODY_TIMEOUT_S="0.3",
        STEPWEAVE_SERVER_SEND_TIMEOUT_S="0.3",
        STEPWEAVE_SERVER_KEEP_ALIVE_S="0.3",
        STEPWEAVE_SERVER_MAX_CONNECTIONS="20",
    ) as it:
        yield it


@pytest.fixture(scope="module")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A server that has patience and takes few headers."""
    folder = tmp_path_factory.mktemp("strict")
    async with start(folder, FILES, STEPWEAVE_SERVER_MAX_HEADER="2KB") as it:
        yield it


async def drip(wire: Wire, piece: bytes) -> None:
    """Send a piece again and again until the server hangs up."""
    async with asyncio.timeout(LIMIT_S):
        while await wire.send(piece):
            await asyncio.sleep(0.02)


async def late(answer: Answer, wire: Wire, says: str) -> None:
    assert answer.status == 408, answer
    assert says in answer.json()["error"]
    assert answer.get("connection") == "close"
    assert answer.get("x-trace-id")
    assert await wire.closed() == b""


# --- slow senders


@pytest.mark.parametrize("begin", [b"P", b"POST /ech", GET, GET + b"a: b\r\nc"])
async def test_a_head_that_stops_is_a_408(hasty: Running, begin: bytes) -> None:
    async with connect(hasty) as wire:
        await wire.send(begin)
        await late(await wire.answer(), wire, "the headers took more than 0.3 s")


async def test_a_head_that_drips_is_a_408(hasty: Running) -> None:
    async with connect(hasty) as wire:
        await wire.send(GET)
        dripping = asyncio.create_task(drip(wire, b"a: b\r\n"))
        await late(await wire.answer(), wire, "the headers took")
        await dripping


@pytest.mark.parametrize(
    "begin",
    [
        GET + b"content-length: 10\r\n\r\n",
        GET + b"content-length: 10\r\n\r\nabc",
        CHUNKED,
        CHUNKED + b"5\r\nab",
        CHUNKED + b"2\r\nab\r\n",
        CHUNKED + b"2\r\nab\r\n0\r\n",
        CHUNKED + b"2;ext",
    ],
)
async def test_a_body_that_stops_is_a_408(hasty: Running, begin: bytes) -> None:
    async with connect(hasty) as wire:
        await wire.send(begin)
        await late(await wire.answer(), wire, "the body came too slowly")


async def test_a_body_that_drips_is_a_408(hasty: Running) -> None:
    async with connect(hasty) as wire:
        await wire.send(GET + b"content-length: 100000\r\n\r\n")
        dripping = asyncio.create_task(drip(wire, b"x"))
        await late(await wire.answer(), wire, "the body came too slowly")
        await dripping


async def others_are_served(running: Running) -> None:
    """Ask until there is an answer: when the machine stood still, this client is late, too."""

    async def served() -> bool:
        return (await ask(running, "POST", "/echo", body=b"x")).status == 200

    await running.until(served)


async def a_while(running: Running, seconds: float = 1) -> None:
    """Let more time pass than a client has, while others are served."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + seconds:
        await others_are_served(running)


async def test_a_body_that_keeps_coming_has_its_time(hasty: Running) -> None:
    async with connect(hasty) as wire:
        await wire.send(GET + b"content-length: 40000\r\n\r\n" + b"x" * 20_000)
        await a_while(hasty)
        await wire.send(b"x" * 20_000)
        assert (await wire.answer()).json()["raw"] == 40_000


@pytest.mark.parametrize("noise", [b"", b"\r\n", b"\r\n\r\n"])
async def test_a_connection_that_asks_nothing_is_closed(hasty: Running, noise: bytes) -> None:
    async with connect(hasty) as wire:
        await wire.send(noise)
        assert await wire.closed() == b""
    async with connect(hasty) as wire:
        await wire.send(request("POST", "/echo", body=b"x"))
        assert (await wire.answer()).status == 200
        await wire.send(noise)
        assert await wire.closed() == b""


async def test_a_second_request_may_not_drip_either(hasty: Running) -> None:
    async with connect(hasty) as wire:
        await wire.send(request("POST", "/echo", body=b"x") + GET)
        assert (await wire.answer()).status == 200
        await late(await wire.answer(), wire, "the headers took")


async def test_a_refused_body_that_drips_on_ends_the_connection(hasty: Running) -> None:
    async with connect(hasty) as wire:
        await wire.send(CHUNKED.replace(b"/echo", b"/nowhere"))
        assert (await wire.answer()).status == 404
        dripping = asyncio.create_task(drip(wire, b"1\r\nx\r\n"))
        assert await wire.closed() == b""
        await dripping


# --- slow readers


async def test_a_client_that_reads_nothing_is_cut_off(hasty: Running) -> None:
    loop = asyncio.get_running_loop()
    url = hasty.http.base_url
    # On a slow machine the answer may not have begun after the first time.
    for seconds in (1, 4, 16):
        size = 0
        with socket.create_connection((url.host, url.port)) as client:
            client.setblocking(False)
            await loop.sock_sendall(client, request("GET", "/big"))
            await a_while(hasty, seconds)
            async with asyncio.timeout(LIMIT_S):
                while data := await loop.sock_recv(client, 1 << 20):
                    size += len(data)
        if size < 12_000_000:
            break

    assert 0 < size < 12_000_000


# --- greedy ones


@pytest.mark.parametrize(
    "head",
    [
        GET + b"a: " + b"x" * 3000 + b"\r\n\r\n",
        GET + b"a: b\r\n" * 500 + b"\r\n",
        b"POST /echo?" + b"x" * 3000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_a_head_over_the_limit_is_a_431_though_it_comes_at_once(
    strict: Running, head: bytes
) -> None:
    async with connect(strict) as wire:
        await wire.send(head)
        answer = await wire.answer()
        assert (answer.status, answer.get("connection")) == (431, "close")
        assert answer.json() == {"error": "the headers are over the limit of 2048 bytes"}
        await wire.closed()


async def test_trailers_are_no_headers_and_bounded(strict: Running) -> None:
    async with connect(strict) as wire:
        await wire.send(CHUNKED + b"2\r\nab\r\n0\r\nauthorization: Bearer x\r\nx-late: 1\r\n\r\n")
        seen = (await wire.answer()).json()
        assert seen["raw"] == 2
        assert "authorization" not in seen["headers"] and "x-late" not in seen["headers"]

        await wire.send(CHUNKED + b"2\r\nab\r\n0\r\n")
        await wire.send(b"a: b\r\n" * 1000)
        answer = await wire.answer()
        assert (answer.status, answer.get("connection")) == (431, "close")
        await wire.closed()


async def test_many_pipelined_requests_are_no_large_head(strict: Running) -> None:
    one = request("POST", "/nowhere", ("x-pad", "x" * 500))
    async with connect(strict) as wire:
        await wire.send(one * 100 + one[:-2])
        for _ in range(100):
            assert (await wire.answer()).status == 404
        await wire.send(b"\r\n")
        assert (await wire.answer()).status == 404


# --- too many


async def test_one_connection_too_many_is_told_to_come_back(hasty: Running) -> None:
    refused: list[Answer] = []

    async def crowd() -> bool:
        async with contextlib.AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(connect(hasty)) for _ in range(40)]
            for wire in wires:
                with contextlib.suppress(EOFError, ConnectionError):
                    refused.append(await wire.answer())
        return bool(refused)

    # On a slow machine the first ones may have had their time before the last ones come.
    await hasty.until(crowd)
    assert {answer.status for answer in refused} == {503}
    assert refused[0].json() == {"error": "there are too many connections; try again in a moment"}
    await others_are_served(hasty)
