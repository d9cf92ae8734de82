"""The transport that gathers writes."""

from __future__ import annotations

import asyncio

import pytest

from stepweave.http.cork import Corked

pytestmark = pytest.mark.anyio


class Wire(asyncio.Transport):
    """A transport that notes what is written, and like uvloop's raises once it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closed:
            raise RuntimeError("the handler is closed")
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def turn() -> None:
    """Let the loop turn."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_is_written_in_one_turn_leaves_together() -> None:
    wire = Wire()
    corked = Corked(wire, asyncio.get_running_loop())
    for part in (b"head", b"", b"body"):
        corked.write(part)
    assert wire.writes == []

    await turn()
    corked.write(b"next")
    await turn()

    assert wire.writes == [b"headbody", b"next"]


async def test_what_is_all_of_it_leaves_at_once_and_in_its_turn() -> None:
    wire = Wire()
    corked = Corked(wire, asyncio.get_running_loop())
    corked.write_now(b"whole")
    corked.write(b"first")
    corked.write_now(b"second")
    assert wire.writes == [b"whole", b"firstsecond"]

    await turn()
    wire.closed = True
    corked.write_now(b"late")
    assert wire.writes == [b"whole", b"firstsecond"]


async def test_a_close_sends_what_was_gathered_first() -> None:
    wire = Wire()
    corked = Corked(wire, asyncio.get_running_loop())
    corked.write(b"last")
    corked.close()

    assert (wire.writes, wire.closed) == ([b"last"], True)
    await turn()


async def test_what_a_client_that_has_left_would_get_is_dropped() -> None:
    wrong: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: wrong.append(context))
    wire = Wire()
    corked = Corked(wire, loop)
    corked.write(b"answer")
    wire.closed = True
    await turn()

    assert (wire.writes, wrong) == ([], [])
