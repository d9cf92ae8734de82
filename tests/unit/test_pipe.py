"""The writing end of a child's stdin: nothing is lost when the pipe is full, closing waits."""

from __future__ import annotations

import asyncio
import os

import pytest

from stepweave.runners.pipe import open_pipe

pytestmark = pytest.mark.anyio


async def read_all(descriptor: int) -> bytes:
    """Everything until the end of file, read slowly in a thread."""

    def read() -> bytes:
        parts = []
        while part := os.read(descriptor, 50_000):
            parts.append(part)
        os.close(descriptor)
        return b"".join(parts)

    return await asyncio.to_thread(read)


async def test_what_is_written_arrives_at_once() -> None:
    reading, writer = open_pipe()
    writer.write(b"hello")
    assert os.read(reading, 100) == b"hello"
    writer.close()
    assert await read_all(reading) == b""


async def test_more_than_the_pipe_holds_arrives_in_order_and_closing_waits_for_it() -> None:
    reading, writer = open_pipe()
    parts = [bytes([n]) * 700_000 for n in range(10)]
    for part in parts:
        writer.write(part)
    writer.close()
    writer.write(b"too late")
    assert await read_all(reading) == b"".join(parts)


async def test_a_reader_that_is_gone_is_no_error() -> None:
    reading, writer = open_pipe()
    os.close(reading)
    writer.write(b"x" * 3_000_000)
    writer.close()
    writer.abort()


async def test_letting_go_drops_what_waits() -> None:
    reading, writer = open_pipe()
    writer.write(b"x" * 3_000_000)
    writer.abort()
    assert len(await read_all(reading)) < 3_000_000
