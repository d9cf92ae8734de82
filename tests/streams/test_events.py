"""Server-Sent Events: the same documents, taken up where a client left off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.harness import LIMIT_S, Running, start
from tests.http.wire import connect, request
from tests.streams.client import change
from tests.streams.project import FILES

pytestmark = pytest.mark.anyio


@pytest.fixture
def group() -> str:
    """A group of its own for each test."""
    return uuid.uuid4().hex


class Source:
    """An open answer, read event by event."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.id: int | None = None
        self.comments: list[str] = []

    async def next(self) -> Any:
        """The event of the next document; `id` is its id, if it has one."""
        data = None
        self.id = None
        async with asyncio.timeout(LIMIT_S):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments.append(line)
                elif line.startswith("id: "):
                    self.id = int(line[4:])
                elif line.startswith("data: "):
                    data = json.loads(line[6:])
                elif not line and data is not None:
                    return data["event"]
        raise EOFError

    async def comment(self) -> str:
        """The next line, which is a comment."""
        async with asyncio.timeout(LIMIT_S):
            async for line in self._lines:
                if line:
                    return line
        raise EOFError


@contextlib.asynccontextmanager
async def source(running: Running, path: str, since: int | None = None) -> AsyncIterator[Source]:
    """Follow over HTTP."""
    headers = {} if since is None else {"last-event-id": str(since)}
    url = f"/_stepweave/streams/{path}"
    async with running.http.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        yield Source(answer.aiter_lines())


async def test_a_group_is_followed(running: Running, group: str) -> None:
    await change(running, ["set", "board", group, "a", {"text": "one\ntwo"}])
    async with source(running, f"board/{group}") as events:
        assert await events.next() == {
            "type": "sync",
            "data": [{"text": "one\ntwo", "id": "a"}],
        }
        assert events.id == 1
        await change(
            running,
            ["set", "board", group, "b", {}],
            ["send", "board", group, None, {"type": "typing", "data": 1}],
            ["delete", "board", group, "a", None],
        )
        assert (await events.next())["type"] == "create"
        assert events.id == 2
        assert (await events.next())["event"] == {"type": "typing", "data": 1}
        assert events.id is None
        assert (await events.next())["type"] == "delete"
        assert events.id == 3


async def test_an_item_is_followed_whatever_its_names(running: Running, group: str) -> None:
    name, id = f"{group}/ü", "a b/%"
    path = f"board/{group}%2F%C3%BC/a%20b%2F%25"
    async with source(running, path) as events:
        await running.until(lambda: running.it.live.rooms.sizes[1] > 0, "a follower")
        await change(running, ["set", "board", name, "other", {}], ["set", "board", name, id, {}])
        assert await events.next() == {"type": "create", "data": {"id": id}}
        assert events.id == 2


async def test_who_comes_back_gets_what_was_missed(running: Running, group: str) -> None:
    changes = [["set", "board", group, f"i{n}", {"n": n}] for n in range(5)]
    await change(running, *changes, ["delete", "board", group, "i0", None])
    async with source(running, f"board/{group}", since=3) as events:
        assert [(await events.next())["type"] for _ in range(3)] == ["create", "create", "delete"]
        assert events.id == 6
    async with source(running, f"board/{group}", since=6) as events:
        await running.until(lambda: running.it.live.rooms.sizes[1] > 0, "a follower")
        await change(running, ["set", "board", group, "new", {}])
        assert (await events.next())["data"] == {"id": "new"}
    for unknown in (7, 99):
        async with source(running, f"board/{group}", since=unknown + 1) as events:
            event = await events.next()
            assert event["type"] == "sync"
            assert len(event["data"]) == 5
    async with source(running, f"board/{group}/i1", since=1) as events:
        assert await events.next() == {"type": "create", "data": {"n": 1, "id": "i1"}}


async def test_after_a_restart_a_snapshot_takes_the_place_of_what_is_forgotten(
    tmp_path: Path,
) -> None:
    async with start(tmp_path, FILES) as running:
        await change(running, *(["set", "board", "g", "a", {"n": n}] for n in range(3)))
        await change(running, ["delete", "board", "g", "a", None], ["set", "board", "g", "b", {}])
    async with start(tmp_path) as running:
        async with source(running, "board/g", since=5) as events:
            await running.until(lambda: running.it.live.rooms.sizes[1] > 0, "a follower")
            await change(running, ["set", "board", "g", "c", {}])
            assert (await events.next())["type"] == "create"
        async with source(running, "board/g", since=2) as events:
            assert (await events.next())["type"] == "sync"
            assert events.id == 6
        async with source(running, "board/g/a", since=2) as events:
            assert await events.next() == {"type": "delete", "data": {"id": "a"}}


async def test_a_silent_line_is_kept_open(tmp_path: Path) -> None:
    async with start(tmp_path, FILES, STEPWEAVE_STREAMS_PING_S="0.05") as running:
        async with source(running, "board/g/none") as events:
            assert [await events.comment() for _ in range(3)] == [": ok", ": ping", ": ping"]


async def test_an_end_of_the_server_is_an_end_of_the_answer(tmp_path: Path) -> None:
    async with start(tmp_path, FILES) as running:
        async with source(running, "board/g") as events:
            assert (await events.next())["type"] == "sync"
            running.it.stop()
            with pytest.raises(EOFError):
                await events.next()


async def test_who_goes_is_forgotten(running: Running, group: str) -> None:
    async with source(running, f"board/{group}") as events:
        await events.next()
    await running.until(lambda: running.it.live.rooms.sizes == (0, 0), "empty rooms")


async def test_who_goes_after_asking_for_more_is_forgotten(tmp_path: Path) -> None:
    async with start(tmp_path, FILES, STEPWEAVE_STREAMS_PING_S="0.05") as running:
        async with connect(running) as wire:
            await wire.send(request("GET", "/_stepweave/streams/board/g"))
            await wire.send(request("GET", "/page") * 3)
            assert (await wire.head())[0] == "HTTP/1.1 200 OK"
            assert await wire.chunk() == b": ok\n\n"
            await running.until(lambda: len(running.it.live.events) == 1, "a reader")
            wire.abort()
        await running.until(lambda: running.it.live.rooms.sizes == (0, 0), "empty rooms")
        await running.until(lambda: len(running.it.live.events) == 0, "no readers")


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "nowhere/g", 404, "Stream nowhere not found"),
        ("GET", "board", 400, "is followed, in UTF-8"),
        ("GET", "board/", 400, "is followed, in UTF-8"),
        ("GET", "board/g/i/x", 400, "is followed, in UTF-8"),
        ("GET", "board/%ff", 400, "is followed, in UTF-8"),
        ("GET", "", 400, "is followed, in UTF-8"),
        ("POST", "board/g", 405, "answers GET, HEAD, not POST"),
        ("DELETE", "board/g/i", 405, "answers GET, HEAD, not DELETE"),
    ],
)
async def test_what_cannot_be_followed_is_said(
    running: Running, method: str, path: str, status: int, error: str
) -> None:
    answer = await running.http.request(method, f"/_stepweave/streams/{path}")
    assert answer.status_code == status
    assert error in answer.json()["error"]
    assert answer.headers["x-trace-id"]


@pytest.mark.parametrize("id", ["x", "-1", "1.5", "²", "9" * 5000, ""])
async def test_an_id_that_is_none_of_ours_begins_anew(
    running: Running, group: str, id: str
) -> None:
    url = f"/_stepweave/streams/board/{group}"
    headers = {"last-event-id": id.encode("latin-1")}
    async with running.http.stream("GET", url, headers=headers) as answer:
        assert (await Source(answer.aiter_lines()).next()) == {"type": "sync", "data": []}


async def test_the_head_alone_can_be_asked_for(running: Running) -> None:
    answer = await running.http.head("/_stepweave/streams/board/g")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_pages_that_may_use_routes_may_follow(tmp_path: Path) -> None:
    async with start(tmp_path, FILES, mode="dev") as running:
        origin = {"origin": "http://localhost:3000"}
        url = "/_stepweave/streams/board/g"
        async with running.http.stream("GET", url, headers=origin) as answer:
            assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        asked = {**origin, "access-control-request-method": "GET"}
        answer = await running.http.options(url, headers=asked)
        assert answer.status_code == 204
