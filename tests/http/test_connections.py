"""Connections: kept, pipelined, broken off, and spoken to in no HTTP at all."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.flows.harness import Running
from tests.http.wire import Answer, Wire, ask, connect, request

pytestmark = pytest.mark.anyio

JSON = ("content-type", "application/json")
HOST = b"host: x\r\n"
POST = b"POST /python/echo HTTP/1.1\r\n" + HOST


async def alive(running: Running) -> None:
    """Prove that the project still answers."""
    assert (await ask(running, "GET", "/pets/7")).json()["step"] == "pet"


async def said(running: Running, data: bytes) -> list[Answer]:
    """Every answer to some bytes that no more follow, until the server hangs up."""
    answers = []
    async with connect(running) as wire:
        await wire.send(data)
        while True:
            try:
                answers.append(await wire.answer())
            except (EOFError, ConnectionError):
                return answers


# --- kept connections


async def test_one_connection_serves_many_requests_with_and_without_errors(
    running: Running,
) -> None:
    async with connect(running) as wire:
        for number in range(50):
            await wire.send(request("GET", f"/pets/{number}"))
            assert (await wire.answer()).json()["params"] == {"id": str(number)}
            await wire.send(request("GET", "/nowhere"))
            assert (await wire.answer()).status == 404
            await wire.send(request("POST", "/python/echo", JSON, body=b"{"))
            assert (await wire.answer()).status == 400
            await wire.send(request("GET", "/python/as/none"))
            assert (await wire.answer()).status == 500
            await wire.send(request("GET", "/python/as/gone"))
            assert (await wire.answer()).status == 204
            await wire.send(request("HEAD", "/pets/7"))
            assert (await wire.answer(to_head=True)).status == 200


async def test_pipelined_requests_are_answered_in_their_order(running: Running) -> None:
    wanted = []
    data = b""
    for number in range(20):
        data += request("GET", f"/pets/{number}")
        wanted.append((200, str(number)))
        data += request("POST", f"/python/echo/{number}", JSON, body=b'{"n":%d}' % number)
        wanted.append((200, str(number)))
        data += request("DELETE", "/nowhere", body=b"GET / HTTP/1.1\r\n\r\n")
        wanted.append((404, ""))
        data += request("POST", "/ruby/checked", JSON, body=b"{}")
        wanted.append((400, ""))
    async with connect(running) as wire:
        await wire.send(data)
        seen = []
        for _ in wanted:
            answer = await wire.answer()
            id = answer.json()["params"]["id"] if answer.status == 200 else ""
            seen.append((answer.status, id))

    assert seen == wanted


async def test_a_slow_answer_holds_back_those_behind_it(running: Running) -> None:
    async with connect(running) as wire:
        await wire.send(request("POST", "/slow", JSON, body=b'{"id":"first"}'))
        await wire.send(request("GET", "/pets/behind"))

        async def began() -> bool:
            return (await running.state("slow")).get("first") == "began"

        await running.until(began)
        await ask(running, "POST", "/go/first")
        assert (await wire.answer()).json() == {"id": "first"}
        assert (await wire.answer()).json()["params"] == {"id": "behind"}


async def test_who_asks_without_waiting_for_answers_is_left(running: Running) -> None:
    slow = request("POST", "/slow", JSON, body=b'{"id":"flood"}')
    async with connect(running) as wire:
        await wire.send(slow + request("GET", "/pets/7") * 300)
        assert await wire.closed() == b""
    await ask(running, "POST", "/go/flood")
    await alive(running)


async def test_a_client_may_ask_to_close(running: Running) -> None:
    async with connect(running) as wire:
        await wire.send(request("GET", "/pets/7", ("connection", "close")))
        assert (await wire.answer()).get("connection") == "close"
        assert await wire.closed() == b""


async def test_an_old_client_is_answered_and_left(running: Running) -> None:
    for line in (b"GET /pets/7 HTTP/1.0\r\n", b"GET /pets/7\r\n"):
        (answer,) = await said(running, line + b"\r\n")
        assert answer.json()["step"] == "pet"


async def test_an_upgrade_that_is_not_known_is_left_out(running: Running) -> None:
    head = (("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AA"))
    async with connect(running) as wire:
        for _ in range(3):
            await wire.send(request("GET", "/pets/7", *head))
            assert (await wire.answer()).json()["step"] == "pet"


@pytest.mark.parametrize("upgrade", ["h2c", "foo/2, bar", "WebSocket2"])
async def test_what_follows_an_upgrade_that_is_not_known_is_answered(
    running: Running, upgrade: str
) -> None:
    head = (("connection", "Upgrade"), ("upgrade", upgrade))
    data = request("GET", "/pets/1", *head)
    data += request("POST", "/python/echo/2", *head, JSON, body=b'{"a":1}')
    data += request("GET", "/pets/3") * 2 + request("GET", "/pets/4", *head)
    async with connect(running) as wire:
        await wire.send(data)
        ids = [(await wire.answer()).json()["params"]["id"] for _ in range(5)]
        await wire.send(request("GET", "/pets/5"))
        ids.append((await wire.answer()).json()["params"]["id"])

    assert ids == ["1", "2", "3", "3", "4", "5"]


async def test_a_websocket_at_a_path_of_our_own_is_refused(running: Running) -> None:
    head = (
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    )
    (answer,) = await said(running, request("GET", "/_stepweave/api/logs", *head))

    assert answer.status == 404
    await alive(running)


# --- no HTTP


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\nHELLO\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /pets/7 HTTP/9.9\r\n\r\n",
        b"GET /pets/7 FTP/1.1\r\n\r\n",
        b"GE\x00T /pets/7 HTTP/1.1\r\n\r\n",
        b"get /pets/7 HTTP/1.1\r\n\r\n",
        b"GET pets HTTP/1.1\r\n\r\n",
        b"GET /caf\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /pets/7?q=\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET http:// HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /pets/7 HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /pets/7 HTTP/1.1\r\n: x\r\n\r\n",
        b"GET /pets/7 HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /pets/7 HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
        b"GET /pets/7 HTTP/1.1\r\na: \x00\r\n\r\n",
        b"GET /pets/7 HTTP/1.1\r\na: b\x01\r\n\r\n",
        POST + b"content-length: -1\r\n\r\n",
        POST + b"content-length: one\r\n\r\n",
        POST + b"content-length: 99999999999999999999999\r\n\r\n",
        POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        POST + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0",
        POST + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 1000,
        b"\xff" * 1000,
        b"\n" * 10 + b"A" * 1000 + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_400_and_the_end(running: Running, data: bytes) -> None:
    answers = await said(running, data)

    assert [answer.status for answer in answers] == [400]
    assert answers[0].get("connection") == "close"
    assert answers[0].get("x-trace-id")
    assert answers[0].json() == {"error": "this is no HTTP request that can be read"}
    await alive(running)


async def test_a_request_names_one_host(running: Running) -> None:
    for hosts in (b"", HOST + HOST, b"host: localhost\r\nhost: elsewhere\r\n"):
        (answer,) = await said(running, b"GET /pets/7 HTTP/1.1\r\n" + hosts + b"\r\n")
        assert (answer.status, answer.get("connection")) == (400, "close")
        assert answer.json() == {"error": "a request has one Host header"}
    await alive(running)


async def test_a_coding_of_the_transfer_that_is_not_read_is_said_to_be_one(
    running: Running,
) -> None:
    for coding in (b"gzip, chunked", b"gzip"):
        head = HOST + b"transfer-encoding: " + coding + b"\r\n\r\n"
        (answer,) = await said(running, b"POST /python/echo HTTP/1.1\r\n" + head + b"0\r\n\r\n")
        assert (answer.status, answer.get("connection")) == (501, "close")
        assert answer.json()["error"].startswith("a body is sent as it is, or chunked")
    await alive(running)


async def test_good_requests_before_a_bad_one_are_not_forgotten(running: Running) -> None:
    async with connect(running) as wire:
        await wire.send(request("GET", "/pets/7"))
        assert (await wire.answer()).status == 200
        await wire.send(b"NONSENSE\r\n\r\n")
        assert (await wire.answer()).status == 400
        assert await wire.closed() == b""
    await alive(running)


async def test_noise_after_a_request_is_not_taken_for_its_answer(running: Running) -> None:
    async with connect(running) as wire:
        await wire.send(
            request("POST", "/slow", JSON, body=b'{"id":"noise"}') + b"NONSENSE\r\n\r\n"
        )
        assert await wire.closed() == b""
    await ask(running, "POST", "/go/noise")
    await alive(running)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /pets/7 HTTP/1.1\r\nhost: x\r\na: ", b"x" * 10_000),
        (b"GET /pets/7 HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n" * 1000),
        (b"GET /pets/7 HTTP/1.1\r\nhost: x\r\n", b"x" * 10_000),
        (b"GET /", b"pets/" * 2000),
        (b"GET /pets/7?", b"a=b&" * 2000),
    ],
)
async def test_a_head_without_end_is_a_431_and_the_end(
    running: Running, begin: bytes, more: bytes
) -> None:
    async with connect(running) as wire:
        await wire.send(begin)
        sending = asyncio.create_task(send_without_end(wire, more))
        try:
            answer = await wire.answer()
            assert (answer.status, answer.get("connection")) == (431, "close")
            assert answer.json()["error"].startswith("the headers are over the limit of ")
        except ConnectionError:
            pass  # the system threw the answer away, as what we sent was not read
        await sending
    await alive(running)


async def send_without_end(wire: Wire, more: bytes) -> None:
    """Send until the server hangs up, at most 20 MB."""
    for _ in range(20_000_000 // len(more)):
        if not await wire.send(more):
            return
    raise AssertionError("the server took 20 MB of a head")


async def test_a_large_head_that_ends_is_read(running: Running) -> None:
    cookie = "a=" + "x" * 30_000
    for _ in range(3):
        answer = await ask(running, "POST", "/python/echo", ("cookie", cookie), ("x-a", cookie))
        assert answer.json()["headers"]["cookie"] == cookie


# --- half requests


HALVES = [
    b"",
    b"G",
    b"GET /pets/7 HTTP/1.1",
    b"GET /pets/7 HTTP/1.1\r\nhost: x\r\n",
    POST + b"content-length: 10\r\n\r\n",
    POST + b"content-length: 10\r\n\r\nabc",
    POST + b"content-length: 150000\r\n\r\n" + b"x" * 100_000,
    POST + b"transfer-encoding: chunked\r\n\r\n",
    POST + b"transfer-encoding: chunked\r\n\r\n5\r\nab",
    POST + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
]


@pytest.mark.parametrize("half", HALVES)
async def test_a_client_that_ends_in_the_middle_is_left(running: Running, half: bytes) -> None:
    before = len(running.records)
    async with connect(running) as wire:
        await wire.send(half)
        wire.end()
        assert await wire.closed() == b""
    await alive(running)
    assert [r.message for r in running.records[before:] if r.level == "error"] == []


@pytest.mark.parametrize("half", HALVES)
async def test_a_client_that_vanishes_in_the_middle_is_forgotten(
    running: Running, half: bytes
) -> None:
    before = len(running.records)
    for _ in range(5):
        async with connect(running) as wire:
            await wire.send(half)
            wire.abort()
    await alive(running)
    assert [r.message for r in running.records[before:] if r.level == "error"] == []


async def test_a_client_that_vanishes_while_its_handler_runs_stops_nothing(
    running: Running,
) -> None:
    before = len(running.records)
    async with connect(running) as wire:
        await wire.send(request("POST", "/slow", JSON, body=b'{"id":"left"}'))

        async def began() -> bool:
            return (await running.state("slow")).get("left") == "began"

        await running.until(began)
        wire.abort()
    await ask(running, "POST", "/go/left")

    async def ended() -> bool:
        return (await running.state("slow")).get("left") == "ended"

    await running.until(ended)
    await alive(running)
    assert [r.message for r in running.records[before:] if r.level == "error"] == []


async def test_many_idle_and_half_open_connections_keep_nobody_out(running: Running) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for number in range(200):
            wire = await stack.enter_async_context(connect(running))
            await wire.send(HALVES[number % len(HALVES)])
        answers = await asyncio.gather(*(ask(running, "GET", f"/pets/{n}") for n in range(20)))
    assert all(answer.status == 200 for answer in answers)
