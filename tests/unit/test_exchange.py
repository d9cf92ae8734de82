"""Requests that come as a whole: answered at once where nothing has to be waited for."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from stepweave.http.exchange import Exchange
from stepweave.http.limits import Limits
from stepweave.http.protocol import Protocol
from stepweave.http.response import Reply

pytestmark = pytest.mark.anyio

WHOLE = b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello"
IDS = ("t" * 32, None)


class Wire(asyncio.Transport):
    """A connection that notes what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


class App:
    """An application that answers as `direct` does, and else in a task with the request's body."""

    def __init__(self, direct: Callable[[Exchange], bool]) -> None:
        self.direct = direct

    async def __call__(
        self,
        scope: Any,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[..., Awaitable[None]],
    ) -> None:
        body = (await receive())["body"]
        head = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 202, "headers": head})
        await send({"type": "http.response.body", "body": body})


def connect(direct: Callable[[Exchange], bool]) -> tuple[Protocol, Wire]:
    """A connection to an application, and what it is written to."""
    config = Config(
        cast(Any, App(direct)),
        http=cast(Any, functools.partial(Protocol, Limits())),
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    config.load()
    protocol = cast(Any, config.http_protocol_class)(
        config=config, server_state=ServerState(), app_state={}
    )
    wire = Wire()
    protocol.connection_made(wire)
    return protocol, wire


def echo(exchange: Exchange) -> bool:
    body = exchange.body
    exchange.answer(Reply(200, [(b"content-length", b"%d" % len(body))], body), *IDS)
    return True


async def written(wire: Wire, count: int) -> list[bytes]:
    """All writes, once there are so many."""
    async with asyncio.timeout(30):
        while len(wire.writes) < count:
            await asyncio.sleep(0)
    return wire.writes


async def test_an_answer_leaves_at_once_and_in_one_write() -> None:
    protocol, wire = connect(echo)
    protocol.data_received(WHOLE)

    (answer,) = wire.writes
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"x-trace-id: " + b"t" * 32 + b"\r\n\r\nhello")
    assert not wire.closed


async def test_what_is_not_taken_is_received_by_the_application() -> None:
    protocol, wire = connect(lambda exchange: False)
    protocol.data_received(WHOLE)

    (answer,) = await written(wire, 1)
    assert answer.startswith(b"HTTP/1.1 202") and answer.endswith(b"hello")


async def test_a_body_in_pieces_is_received_by_the_application() -> None:
    protocol, wire = connect(echo)
    protocol.data_received(WHOLE[:-2])
    protocol.data_received(WHOLE[-2:])

    (answer,) = await written(wire, 1)
    assert answer.startswith(b"HTTP/1.1 202") and answer.endswith(b"hello")


async def test_requests_in_one_piece_are_answered_in_their_order() -> None:
    protocol, wire = connect(echo)
    bodies = [b"%05d" % number for number in range(200)]
    protocol.data_received(b"".join(WHOLE.replace(b"hello", body) for body in bodies))

    answers = b"".join(await written(wire, len(bodies)))
    assert [part[-5:] for part in answers.split(b"HTTP/1.1 ")[1:]] == bodies


async def test_a_client_that_wants_to_leave_is_let_go() -> None:
    for last in (
        WHOLE.replace(b"1.1", b"1.0"),
        WHOLE.replace(b"host", b"connection: close\r\nhost"),
    ):
        protocol, wire = connect(echo)
        protocol.data_received(last)
        assert b"connection: close\r\n\r\nhello" in wire.writes[0]
        assert wire.closed


async def test_a_client_that_has_left_is_not_written_to() -> None:
    taken: list[Exchange] = []
    protocol, wire = connect(lambda exchange: not taken.append(exchange))
    protocol.data_received(WHOLE)
    wire.closed = True
    protocol.connection_lost(None)

    echo(taken[0])
    assert wire.writes == []


async def test_a_client_that_does_not_read_gets_its_answer_when_it_does() -> None:
    protocol, wire = connect(echo)
    protocol.pause_writing()
    protocol.data_received(WHOLE)
    await asyncio.sleep(0)
    assert wire.writes == []

    protocol.resume_writing()
    (answer,) = await written(wire, 1)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"hello")


async def test_an_answer_may_come_later_in_a_task() -> None:
    taken: list[Exchange] = []
    protocol, wire = connect(lambda exchange: not taken.append(exchange))
    protocol.data_received(WHOLE)

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    taken[0].lines = [(b"vary", b"origin")]
    taken[0].later(app)
    (answer,) = await written(wire, 1)
    assert b"vary: origin\r\n" in answer and b"part" in answer

    protocol.connection_lost(None)
    async with asyncio.timeout(30):
        while protocol.server_state.tasks:
            await asyncio.sleep(0)


async def test_an_error_of_ours_is_a_500_and_told(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_exchange: Exchange) -> bool:
        raise LookupError("nobody thought of this")

    protocol, wire = connect(broken)
    with caplog.at_level(logging.ERROR):
        protocol.data_received(WHOLE)
        await written(wire, 1)

    assert wire.writes[0].startswith(b"HTTP/1.1 500")
    assert "nobody thought of this" in caplog.text
