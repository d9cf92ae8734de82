"""A bare HTTP/1.1 client that sends any bytes and reads answers strictly."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from tests.flows.harness import LIMIT_S, Running

__all__ = ["Answer", "Wire", "ask", "connect", "request"]

_NO_BODY = (204, 304)


class Answer(NamedTuple):
    """One answer; `head` has the lines as they came, with names in lower case."""

    status: int
    head: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header, in order."""
        return [value for key, value in self.head if key == name]

    def get(self, name: str) -> str | None:
        """The value of a header that may come once."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def json(self) -> Any:
        """The decoded body, which must say that it is JSON."""
        assert (self.get("content-type") or "").startswith("application/json"), self
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> bool:
        """Write bytes as they are; whether the server still takes any."""
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError:
            return False
        return not self._writer.is_closing()

    async def answer(self, *, to_head: bool = False) -> Answer:
        """The next answer, all of it. Raises EOFError when the server closes before one began."""
        async with asyncio.timeout(LIMIT_S):
            line = await self._line()
            while line.startswith("HTTP/1.1 100 "):
                assert await self._line() == ""
                line = await self._line()
            version, status, _phrase = line.split(" ", 2)
            assert version == "HTTP/1.1", line
            head = []
            while line := await self._line():
                name, colon, value = line.partition(":")
                assert colon and name and name == name.strip(), f"{line!r} is no header"
                head.append((name.lower(), value.strip()))
            answer = Answer(int(status), head, b"")
            if to_head or answer.status in _NO_BODY:
                return answer
            if answer.get("transfer-encoding") == "chunked":
                return answer._replace(body=await self._chunks())
            length = answer.get("content-length")
            assert length is not None, f"the end of {answer} cannot be known"
            return answer._replace(body=await self._reader.readexactly(int(length)))

    async def head(self) -> list[str]:
        """The lines of an answer's head."""
        async with asyncio.timeout(LIMIT_S):
            lines = []
            while line := await self._line():
                lines.append(line)
            return lines

    async def chunk(self, *, or_end: bool = False) -> bytes:
        """The next chunk of a body, empty at its end; with `or_end` also where it is cut off."""
        async with asyncio.timeout(LIMIT_S):
            try:
                size = int(await self._line(), 16)
                data = await self._reader.readexactly(size)
                assert await self._line() == ""
            except (EOFError, ConnectionError):
                if not or_end:
                    raise
                return b""
            return data

    async def closed(self) -> bytes:
        """What still comes until the server closes the connection."""
        async with asyncio.timeout(LIMIT_S):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    def end(self) -> None:
        """Say that nothing more is sent."""
        self._writer.write_eof()

    def abort(self) -> None:
        """Hang up at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _line(self) -> str:
        line = await self._reader.readline()
        if not line:
            raise EOFError("the server closed the connection")
        assert line.endswith(b"\r\n"), f"{line!r} ends badly"
        return line[:-2].decode("latin-1")

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self._line(), 16):
            parts.append(await self._reader.readexactly(size))
            assert await self._line() == ""
        assert await self._line() == ""
        return b"".join(parts)


@contextlib.asynccontextmanager
async def connect(running: Running) -> AsyncIterator[Wire]:
    """A connection to the project."""
    url = running.http.base_url
    wire = Wire(*await asyncio.open_connection(url.host, url.port))
    try:
        yield wire
    finally:
        await wire.close()


def request(
    method: str, target: str, *head: tuple[str, str | bytes], body: bytes | None = None
) -> bytes:
    """The bytes of a request, with Host and, for a body, Content-Length."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"host: localhost"]
    for name, value in head:
        raw = value if isinstance(value, bytes) else value.encode("latin-1")
        lines.append(name.encode("latin-1") + b": " + raw)
    if body is not None:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


async def ask(
    running: Running,
    method: str,
    target: str,
    *head: tuple[str, str | bytes],
    body: bytes | None = None,
) -> Answer:
    """The answer to one request on a connection of its own."""
    async with connect(running) as wire:
        await wire.send(request(method, target, *head, body=body))
        return await wire.answer(to_head=method == "HEAD")
