"""The connection over real pipes."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepweave_runner import msgpack
from stepweave_runner.codec import Codec
from stepweave_runner.connection import Connection
from stepweave_runner.errors import Cancelled, ProtocolError
from stepweave_runner.frames import Decoder, frame

CODEC = Codec("pure", msgpack.packb, msgpack.unpackb)


class Ends:
    """A connection and the other side's two descriptors."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.reason: list[ProtocolError | None] = []
        reading, self.to = os.pipe()
        self.from_, writing = os.pipe()
        self.connection = Connection(
            asyncio.get_running_loop(),
            reading,
            writing,
            CODEC,
            self.received.append,
            self.ended,
        )
        self.mine = [reading, writing]
        self.decoder = Decoder(msgpack.unpackb)
        self.connection.open()

    def ended(self, reason: ProtocolError | None) -> None:
        self.reason.append(reason)
        asyncio.get_running_loop().remove_reader(self.mine[0])

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.mine[0])
        loop.remove_writer(self.mine[1])
        for descriptor in [self.to, self.from_, *self.mine]:
            os.close(descriptor)


def run(test: Callable[[Ends], Awaitable[None]]) -> None:
    async def main() -> None:
        ends = Ends()
        try:
            await test(ends)
        finally:
            ends.close()

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("waited in vain")


def framed(value: Any) -> bytes:
    return frame(msgpack.packb(value))


def test_what_is_sent_in_one_turn_leaves_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(ends: Ends) -> None:
        written: list[int] = []
        real = os.write

        def write(descriptor: int, data: Any) -> int:
            if descriptor == ends.mine[1]:
                written.append(len(data))
            return real(descriptor, data)

        monkeypatch.setattr(os, "write", write)
        for n in range(10):
            ends.connection.send(framed(n))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert len(written) == 1
        assert ends.decoder.feed(os.read(ends.from_, 1000)) == list(range(10))

    run(test)


def test_the_reader_never_waits_for_the_writer() -> None:
    async def test(ends: Ends) -> None:
        large = framed(b"x" * 400_000)
        for _ in range(20):
            ends.connection.send(large)
        os.write(ends.to, framed("still read"))
        await until(lambda: ends.received == ["still read"])

        values: list[Any] = []
        os.set_blocking(ends.from_, False)
        while len(values) < 20:
            await asyncio.sleep(0)
            try:
                values += ends.decoder.feed(os.read(ends.from_, 1 << 20))
            except BlockingIOError:
                continue
        assert {len(value) for value in values} == {400_000}
        assert ends.connection.queued == 0

    run(test)


def test_posts_of_other_threads_keep_their_order() -> None:
    async def test(ends: Ends) -> None:
        def work() -> None:
            for n in range(500):
                ends.connection.post(ends.connection.send, framed(n))

        thread = threading.Thread(target=work)
        thread.start()
        await until(lambda: not thread.is_alive())
        values: list[Any] = []
        os.set_blocking(ends.from_, False)
        while len(values) < 500:
            await asyncio.sleep(0)
            try:
                values += ends.decoder.feed(os.read(ends.from_, 1 << 20))
            except BlockingIOError:
                continue
        assert values == list(range(500))

    run(test)


def test_a_thread_that_posts_without_end_leaves_the_loop_its_turns() -> None:
    async def test(ends: Ends) -> None:
        more: queue.SimpleQueue[bool] = queue.SimpleQueue()
        posted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        calls: list[bool] = []

        def work() -> None:
            while more.get():
                ends.connection.post(called)
                posted.put(True)

        def called() -> None:
            calls.append(True)
            if not ends.received and len(calls) < 10_000:
                more.put(True)
                posted.get()

        thread = threading.Thread(target=work)
        thread.start()
        os.write(ends.to, framed("stop"))
        more.put(True)
        posted.get()
        await until(lambda: ends.received == ["stop"])
        assert len(calls) < 10_000
        more.put(False)
        thread.join()

    run(test)


def test_only_other_threads_are_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(ends: Ends) -> None:
        slept: list[int] = []
        monkeypatch.setattr("time.sleep", lambda _seconds: slept.append(threading.get_ident()))
        ends.connection.hold_up()
        thread = threading.Thread(target=ends.connection.hold_up)
        thread.start()
        thread.join()
        assert slept == [thread.ident]

    run(test)


def test_a_post_that_is_interrupted_does_not_lose_those_that_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(ends: Ends) -> None:
        called: list[int] = []

        def interrupted(*args: Any) -> None:
            monkeypatch.undo()
            raise Cancelled

        def work() -> None:
            with pytest.raises(Cancelled):
                ends.connection.post(called.append, 1)
            ends.connection.post(called.append, 2)

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        await until(lambda: called == [1, 2])

    run(test)


def test_a_post_from_the_loop_is_a_call() -> None:
    async def test(ends: Ends) -> None:
        called: list[int] = []
        ends.connection.post(called.append, 1)
        assert called == [1]

    run(test)


def test_the_end_of_the_input_is_told() -> None:
    async def test(ends: Ends) -> None:
        os.close(ends.to)
        ends.to = os.open(os.devnull, os.O_RDONLY)
        await until(lambda: ends.reason == [None])

    run(test)


def test_bytes_that_are_no_frame_end_it_with_a_reason() -> None:
    async def test(ends: Ends) -> None:
        os.write(ends.to, framed("fine") + b"\x00\x00\x00\x01\xc1")
        await until(lambda: len(ends.reason) == 1)
        assert isinstance(ends.reason[0], ProtocolError)

    run(test)


def test_the_last_words_are_written_before_the_process_leaves() -> None:
    async def test(ends: Ends) -> None:
        data = b"".join(framed(b"x" * 300_000) for _ in range(10))
        got = bytearray()

        def read() -> None:
            while len(got) < len(data):
                got.extend(os.read(ends.from_, 1 << 20))

        ends.connection.send(data)
        reader = threading.Thread(target=read)
        reader.start()
        ends.connection.empty()
        reader.join()
        assert bytes(got) == data

    run(test)
