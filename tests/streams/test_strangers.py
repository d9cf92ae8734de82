"""Clients that break the rules, by mistake or on purpose: each gets a reason, nobody is harmed."""

from __future__ import annotations

import asyncio
import json
import random
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.harness import LIMIT_S, Running, start
from tests.streams.client import Socket, change, follow
from tests.streams.project import FILES

pytestmark = pytest.mark.anyio

GOOD = {"streamName": "board", "groupId": "g", "subscriptionId": "1"}
WRONG: list[Any] = [
    "", " ", "{", "[]", "null", "true", "1", '"join"', "{}", "nonsense", "\x00", "{'type':'join'}",
    '{"type":"join","data":', b"", b"\xff\xfe", b"\x00" * 100,
    {"type": "join"},
    {"type": "join", "data": None},
    {"type": "join", "data": []},
    {"type": "join", "data": "board"},
    {"type": "join", "data": {}},
    {"type": "leave", "data": {"streamName": "board"}},
    {"type": "join", "data": {"groupId": "g"}},
    {"type": "JOIN", "data": GOOD},
    {"type": "subscribe", "data": GOOD},
    {"type": None, "data": GOOD},
    {"type": ["join"], "data": GOOD},
    {"type": {"join": 1}, "data": GOOD},
    {"data": GOOD},
    {"event": "join", **GOOD},
    [{"type": "join", "data": GOOD}],
    *({"type": "join", "data": {**GOOD, name: value}}
      for name in ("streamName", "groupId", "id", "subscriptionId")
      for value in (1, 1.5, True, [], {}, ["g"], {"a": 1}, 10**400)),
    {"type": "join", "data": {**GOOD, "streamName": None}},
    {"type": "join", "data": {**GOOD, "groupId": None}},
    "[" * 2000,
    '{"a":' * 2000,
]  # fmt: skip


async def well(socket: Socket) -> None:
    """The connection still serves."""
    await socket.join("board", "well")
    while (await socket.next())["groupId"] != "well":
        pass


@pytest.mark.parametrize("message", WRONG, ids=lambda message: repr(message)[:40])
async def test_a_message_that_makes_no_sense_is_told_so(running: Running, message: Any) -> None:
    async with follow(running) as socket:
        await socket.say(message)
        event = (await socket.event())["event"]
        assert event["type"] == "error"
        assert event["data"]["code"] == "INVALID_MESSAGE"
        assert "Traceback" not in event["data"]["message"]
        assert len(event["data"]["message"]) < 300
        await well(socket)


async def test_who_goes_on_making_mistakes_is_left(running: Running) -> None:
    async with follow(running) as socket:
        for _ in range(30):
            await socket.say("?")
        assert await socket.closed() == (1008, "too many messages that cannot be read")


async def test_a_binary_message_is_read_like_a_text(running: Running) -> None:
    async with follow(running) as socket:
        await socket.say(json.dumps({"type": "join", "data": GOOD}).encode())
        assert (await socket.event())["type"] == "sync"


async def test_a_message_in_pieces_is_put_together(running: Running) -> None:
    async with follow(running) as socket:
        text = json.dumps({"type": "join", "data": GOOD})
        await socket.it.send([text[:7], text[7:20], text[20:]])
        assert (await socket.event())["type"] == "sync"


async def test_a_long_message_is_refused(running: Running) -> None:
    async with follow(running) as socket:
        await socket.say("x" * 70_000)
        assert (await socket.closed())[0] == 1009


async def test_there_is_a_most_of_subscriptions(tmp_path: Path) -> None:
    async with start(tmp_path, FILES, STEPWEAVE_STREAMS_MAX_SUBSCRIPTIONS="3") as running:
        async with follow(running) as socket:
            for n in range(3):
                await socket.join("board", f"g{n}")
                assert (await socket.event())["type"] == "sync"
            await socket.join("board", "g9")
            assert (await socket.event())["event"]["data"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
            await socket.leave("board", "g1")
            await socket.join("board", "g9")
            assert (await socket.event())["type"] == "sync"


async def test_a_flood_of_joins_is_slowed_and_harms_nobody(running: Running) -> None:
    async with follow(running) as flood, follow(running) as other:

        async def pour() -> None:
            for n in range(3000):
                await flood.join("board", f"f{n % 7}", None, str(n % 3))
                await flood.leave("board", f"f{n % 7}", None, str(n % 3))

        pouring = asyncio.create_task(pour())
        await well(other)
        await change(running, ["set", "board", "well", "x", {}])
        assert (await other.next())["groupId"] == "well"
        pouring.cancel()
        flood.it.transport.abort()


# --- below the messages

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Raw:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, running: Running, handshake: str = HANDSHAKE, frames: bytes = b"") -> Raw:
        url = running.http.base_url
        raw = cls(*await asyncio.open_connection(url.host, url.port))
        raw.writer.write(handshake.encode() + frames)
        return raw

    async def head(self) -> str:
        async with asyncio.timeout(LIMIT_S):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def rest(self) -> bytes:
        """All until the end."""
        async with asyncio.timeout(LIMIT_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""
            finally:
                self.writer.close()


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, mask: bool = True) -> bytes:
    size = len(data)
    first = (0x80 if fin else 0) | opcode
    bit = 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    return head + (b"\0\0\0\0" if mask else b"") + data


def close_code(data: bytes) -> int | None:
    """The code of the close frame at the end of what a server sent."""
    at = data.rfind(b"\x88")
    return struct.unpack("!H", data[at + 2 : at + 4])[0] if at >= 0 else None


FRAMES: list[tuple[str, bytes, int]] = [
    ("unmasked", frame(1, b"{}", mask=False), 1002),
    ("reserved bits", b"\xf1\x80\0\0\0\0", 1002),
    ("unknown opcode", frame(3), 1002),
    ("unknown control", frame(11), 1002),
    ("long ping", frame(9, b"x" * 126), 1002),
    ("ping in pieces", frame(9, b"x", fin=False), 1002),
    ("continuation of nothing", frame(0, b"x"), 1002),
    ("text within text", frame(1, b"a", fin=False) + frame(1, b"b"), 1002),
    ("close of one byte", frame(8, b"x"), 1002),
    ("close with a reserved code", frame(8, struct.pack("!H", 1006)), 1002),
    ("text that is not UTF-8", frame(1, b"\xff\xff"), 1007),
    ("pieces that are not UTF-8", frame(1, b"\xc3", fin=False) + frame(0, b"("), 1007),
    ("a reason that is not UTF-8", frame(8, struct.pack("!H", 1000) + b"\xff"), 1007),
    ("a huge announcement", struct.pack("!BBQ", 0x81, 0xFF, 1 << 62), 1009),
    ("many pieces", frame(1, b"x" * 60000, fin=False) + frame(0, b"x" * 9000), 1009),
]


@pytest.mark.parametrize(
    ("data", "code"), [(d, c) for _, d, c in FRAMES], ids=[n for n, *_ in FRAMES]
)
async def test_a_frame_against_the_rules_closes_with_the_code_for_it(
    running: Running, data: bytes, code: int
) -> None:
    raw = await Raw.open(running)
    assert " 101 " in await raw.head()
    raw.writer.write(data)
    assert close_code(await raw.rest()) == code


@pytest.mark.parametrize("seed", range(40))
async def test_noise_in_place_of_frames_ends_in_a_close(running: Running, seed: int) -> None:
    noise = random.Random(seed)
    raw = await Raw.open(running)
    await raw.head()
    raw.writer.write(noise.randbytes(noise.choice([2, 7, 100, 5000])))
    raw.writer.write(frame(3))
    raw.writer.write_eof()
    await raw.rest()
    async with follow(running) as socket:
        await well(socket)


HANDSHAKES = {
    "no key": HANDSHAKE.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
    "short key": HANDSHAKE.replace("dGhlIHNhbXBsZSBub25jZQ==", "AA=="),
    "key that is none": HANDSHAKE.replace("dGhlIHNhbXBsZSBub25jZQ==", "***"),
    "no version": HANDSHAKE.replace("Sec-WebSocket-Version: 13\r\n", ""),
    "old version": HANDSHAKE.replace("13", "8"),
    "post": HANDSHAKE.replace("GET", "POST"),
    "protocol with a comma": HANDSHAKE.replace(
        "\r\n\r\n", "\r\nSec-WebSocket-Protocol: ,,\r\n\r\n"
    ),
    "a body": HANDSHAKE.replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\n{}"),
    "a body in chunks": HANDSHAKE.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "two keys": HANDSHAKE.replace("\r\n\r\n", "\r\nSec-WebSocket-Key: AA==\r\n\r\n"),
}


@pytest.mark.parametrize("handshake", HANDSHAKES.values(), ids=HANDSHAKES.keys())
async def test_a_handshake_that_is_none_gets_a_reason(running: Running, handshake: str) -> None:
    raw = await Raw.open(running, handshake)
    head, _, body = (await raw.rest()).partition(b"\r\n\r\n")
    assert head.split()[1][:1] == b"4"
    assert json.loads(body)["error"]
    assert b"Traceback" not in body


@pytest.mark.parametrize(
    "more",
    ["Cookie: a=" + "x" * 30_000, "\r\n".join(f"X-{n}: 1" for n in range(300))],
    ids=["a long line", "many lines"],
)
async def test_a_handshake_may_be_as_long_as_any_request(running: Running, more: str) -> None:
    raw = await Raw.open(running, HANDSHAKE.replace("\r\n\r\n", f"\r\n{more}\r\n\r\n"))
    assert " 101 " in await raw.head()
    raw.writer.close()


async def test_what_comes_with_the_handshake_is_not_lost(running: Running) -> None:
    join = json.dumps({"type": "join", "data": GOOD})
    early = frame(9, b"p") + frame(1, join[:9].encode(), fin=False)
    raw = await Raw.open(running, HANDSHAKE, early)
    assert " 101 " in await raw.head()
    raw.writer.write(frame(0, join[9:].encode()) + frame(8, struct.pack("!H", 1000)))
    said = await raw.rest()
    assert said.startswith(b"\x8a\x01p")
    assert close_code(said) == 1000


async def test_a_close_that_comes_with_the_handshake_is_answered(running: Running) -> None:
    raw = await Raw.open(running, HANDSHAKE, frame(8, struct.pack("!H", 1000)))
    assert " 101 " in await raw.head()
    assert close_code(await raw.rest()) == 1000


async def test_a_websocket_does_not_overtake_an_answer(running: Running) -> None:
    first = "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    raw = await Raw.open(running, first + HANDSHAKE)
    assert b" 101 " not in await raw.rest()


async def test_a_token_may_hold_any_bytes(running: Running) -> None:
    handshake = HANDSHAKE.replace("\r\n\r\n", "\r\nX-Token: \xff\xfe\r\n\r\n")
    raw = await Raw.open(running, handshake)
    assert " 101 " in await raw.head()
    raw.writer.close()


async def test_a_client_that_does_not_answer_pings_is_dropped(tmp_path: Path) -> None:
    async with start(tmp_path, FILES, STEPWEAVE_STREAMS_PING_S="0.4") as running:
        raw = await Raw.open(running)
        await raw.head()
        await raw.rest()
        async with follow(running) as socket:
            await well(socket)
            for _ in range(5):
                await (await socket.it.ping())
            await well(socket)


async def test_a_flood_of_pings_by_one_who_does_not_read_is_cut_off(running: Running) -> None:
    raw = await Raw.open(running)
    await raw.head()
    pings = frame(9, b"x" * 125) * 500
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(LIMIT_S):
            while True:
                raw.writer.write(pings)
                await raw.writer.drain()


@pytest.fixture(autouse=True)
async def nobody_left(running: Running) -> AsyncIterator[None]:
    """No connection outlives its test, and nothing went wrong inside."""
    yield
    await running.until(lambda: running.it.live.rooms.sizes == (0, 0), "empty rooms")
    wrong = [text for text in running.messages if "Traceback" in text or "Exception" in text]
    assert not wrong, wrong
