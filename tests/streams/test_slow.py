"""Clients that do not keep up, and servers that stop."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.flows.harness import LIMIT_S, Running, start
from tests.streams.client import Socket, change, follow
from tests.streams.project import FILES

pytestmark = pytest.mark.anyio

LARGE = "x" * 20_000


async def flood(running: Running, group: str, count: int = 600) -> None:
    """More than sockets and buffers hold, on the same few items."""
    for n in range(0, count, 50):
        batch = [["set", "board", group, str(i % 7), {"n": n + i, "t": LARGE}] for i in range(50)]
        await change(running, *batch)


def narrow(running: Running) -> sockets.socket:
    """A connection whose receive buffer is small."""
    url = running.http.base_url
    it = sockets.socket()
    it.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 8192)
    it.connect((url.host, url.port))
    it.setblocking(False)
    return it


async def test_a_slow_client_gets_a_snapshot_in_place_of_a_backlog(tmp_path: Path) -> None:
    async with start(tmp_path, FILES, STEPWEAVE_STREAMS_BUFFER="100KB") as running:
        async with (
            connect(
                str(running.http.base_url).replace("http", "ws"),
                sock=narrow(running),
                proxy=None,
                compression=None,
                max_queue=1,
                max_size=None,
            ) as connection,
            follow(running, max_size=None) as quick,
        ):
            slow = Socket(connection)
            await slow.join("board", "g")
            await slow.join("board", "g", "gone", "2")
            assert (await slow.event())["type"] == "sync"
            await quick.join("board", "g")
            await change(running, ["set", "board", "g", "gone", {}])
            # The quick one reads all the while, the slow one nothing.
            last = asyncio.create_task(_until(quick, 599))
            await flood(running, "g")
            await change(running, ["delete", "board", "g", "gone", None])
            await last
            (link,) = [link for link in running.it.live.sockets.links if link.paused]
            assert link.buffered < 1_000_000
            seen = await _until_delete(slow)
            syncs = [event for event in seen if event["type"] == "sync"]
            assert syncs
            assert max(item["n"] for item in syncs[-1]["data"]) == 599
            assert len([event for event in seen if event["type"] == "update"]) < 500
            await change(running, ["set", "board", "g", "new", {}])
            assert (await slow.event())["data"] == {"id": "new"}


async def test_a_slow_event_stream_gets_a_snapshot_too(tmp_path: Path) -> None:
    async with start(tmp_path, FILES, STEPWEAVE_STREAMS_BUFFER="100KB") as running:
        reader, writer = await asyncio.open_connection(sock=narrow(running), limit=1 << 26)
        writer.write(b"GET /_stepweave/streams/board/g HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b": ok\n\n")
        writer.transport.pause_reading()
        await flood(running, "g")
        writer.transport.resume_reading()
        events: list[Any] = []
        async with asyncio.timeout(LIMIT_S):
            while not events or not _has(events[-1], 599):
                line = await reader.readline()
                if line.startswith(b"data: "):
                    events.append(json.loads(line[6:])["event"])
        assert len(events) < 500
        assert [event["type"] for event in events].count("sync") >= 2
        writer.close()


async def test_a_server_that_stops_says_that_it_goes_away(tmp_path: Path) -> None:
    async with start(tmp_path, FILES) as running:
        async with follow(running) as socket:
            await socket.join("board", "g")
            await socket.event()
            await change(running, ["set", "board", "g", "last", {}])
            running.it.stop()
            assert (await socket.event())["data"] == {"id": "last"}
            assert await socket.closed() == (1001, "the server stops")


async def test_what_running_work_still_changes_is_seen_before_the_end(tmp_path: Path) -> None:
    files = {
        **FILES,
        "steps/slow.step.py": """
            import asyncio

            config = {"type": "event", "name": "Slow", "subscribes": ["slow"], "emits": []}


            async def handler(data, context):
                await context.streams.board.set("g", "started", {})
                await asyncio.sleep(0.5)
                await context.streams.board.set("g", "finished", {})
            """,
    }
    async with start(tmp_path, files, STEPWEAVE_SHUTDOWN_GRACE_S="60") as running:
        url = "/_stepweave/streams/board/g"
        async with follow(running) as socket, running.http.stream("GET", url) as answer:
            await socket.join("board", "g")
            await socket.event()
            await running.emit("slow", {})
            assert (await socket.event())["data"] == {"id": "started"}
            running.it.stop()
            assert (await socket.event())["data"] == {"id": "finished"}
            assert await socket.closed() == (1001, "the server stops")
            lines = [line async for line in answer.aiter_lines() if line.startswith("data: ")]
            assert json.loads(lines[-1][6:])["event"]["data"] == {"id": "finished"}


async def test_a_client_that_does_not_read_holds_no_server_up(tmp_path: Path) -> None:
    async with start(tmp_path, FILES, STEPWEAVE_SHUTDOWN_GRACE_S="300") as running:
        async with connect(
            str(running.http.base_url).replace("http", "ws"),
            sock=narrow(running),
            proxy=None,
            compression=None,
            max_queue=1,
        ) as connection:
            slow = Socket(connection)
            await slow.join("board", "g")
            _, writer = await asyncio.open_connection(sock=narrow(running))
            writer.write(b"GET /_stepweave/streams/board/g HTTP/1.1\r\nHost: x\r\n\r\n")
            await running.until(lambda: running.it.live.rooms.sizes[1] == 2, "two followers")
            writer.transport.pause_reading()
            await flood(running, "g", 200)
            running.it.stop()
            # Long before the grace is over; the harness waits for the end.
            connection.transport.abort()
        writer.close()


def _has(event: Any, number: int) -> bool:
    items = event["data"] if isinstance(event["data"], list) else [event["data"]]
    return any(item.get("n") == number for item in items)


async def _until(socket: Socket, number: int) -> None:
    while not _has(await socket.event(), number):
        pass


async def _until_delete(socket: Socket) -> list[Any]:
    """All events up to the one that tells of the item that has gone."""
    seen = []
    while True:
        event = await socket.event()
        seen.append(event)
        if event["type"] == "delete" and seen[-2]["type"] == "sync":
            return seen
        if event["type"] == "sync" and len(seen) > 1 and seen[-2]["type"] == "delete":
            return seen
