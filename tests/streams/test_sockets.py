"""The WebSocket protocol: who joins gets the items, then every change, once and in order."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from tests.flows.harness import Running
from tests.streams.client import change, follow

pytestmark = pytest.mark.anyio


@pytest.fixture
def group() -> str:
    """A group of its own for each test."""
    return uuid.uuid4().hex


async def test_a_group_begins_with_its_items_and_goes_on_with_changes(
    running: Running, group: str
) -> None:
    await change(running, ["set", "board", group, "b", {"text": "one"}])
    await change(running, ["set", "board", group, "a", {"text": "two"}])
    async with follow(running) as socket:
        await socket.join("board", group)
        sync = await socket.next()
        assert sync["streamName"] == "board"
        assert sync["groupId"] == group
        assert "id" not in sync
        assert sync["event"] == {
            "type": "sync",
            "data": [{"text": "one", "id": "b"}, {"text": "two", "id": "a"}],
        }
        await change(
            running,
            ["set", "board", group, "c", {"text": "three"}],
            ["set", "board", group, "a", {"text": "2"}],
            ["update", "board", group, "c", [{"op": "set", "path": "n", "value": 1}]],
            ["delete", "board", group, "b", None],
            ["send", "board", group, None, {"type": "typing", "data": {"who": "ann"}}],
            ["send", "board", group, "a", {"type": "seen"}],
        )
        got = [await socket.next() for _ in range(6)]
        assert [(each.get("id"), each["event"]) for each in got] == [
            ("c", {"type": "create", "data": {"text": "three", "id": "c"}}),
            ("a", {"type": "update", "data": {"text": "2", "id": "a"}}),
            ("c", {"type": "update", "data": {"text": "three", "id": "c", "n": 1}}),
            ("b", {"type": "delete", "data": {"text": "one", "id": "b"}}),
            (None, {"type": "event", "event": {"type": "typing", "data": {"who": "ann"}}}),
            ("a", {"type": "event", "event": {"type": "seen"}}),
        ]
        times = [message["timestamp"] for message in socket.messages]
        assert times == sorted(set(times))


async def test_an_item_is_followed_by_group_and_id(running: Running, group: str) -> None:
    async with follow(running) as socket:
        await socket.join("board", group, "a")
        await change(
            running,
            ["set", "board", f"{group}-other", "a", {"text": "not this one"}],
            ["set", "board", group, "b", {"text": "nor this"}],
            ["set", "board", group, "a", {"text": "this"}],
        )
        assert await socket.event() == {"type": "create", "data": {"text": "this", "id": "a"}}
        await socket.join("board", group, "a", "again")
        assert await socket.event() == {"type": "sync", "data": {"text": "this", "id": "a"}}
        await change(running, ["send", "board", group, None, {"type": "to all"}])
        await change(running, ["send", "board", group, "a", {"type": "to it", "data": 1}])
        assert (await socket.event())["event"] == {"type": "to it", "data": 1}


async def test_one_connection_gets_each_change_once(running: Running, group: str) -> None:
    async with follow(running) as socket:
        await socket.join("board", group, None, "1")
        await socket.join("board", group, None, "2")
        await socket.join("board", group, "a", "3")
        assert [(await socket.event())["type"] for _ in range(1)] == ["sync"]
        await change(running, ["set", "board", group, "a", {}], ["set", "board", group, "b", {}])
        got = []
        while not got or got[-1] != ("create", "b"):
            message = await socket.next()
            if message["event"]["type"] != "sync":
                got.append((message["event"]["type"], message.get("id")))
        assert got == [("create", "a"), ("create", "b")]
        await socket.leave("board", group, None, "1")
        await change(running, ["set", "board", group, "b", {"n": 1}])
        assert (await socket.next())["id"] == "b"
        await socket.leave("board", group, None, "2")
        await socket.join("board", group, "gone")
        await change(running, ["set", "board", group, "b", {}], ["set", "board", group, "a", {}])
        assert (await socket.next())["id"] == "a"


async def test_values_that_are_no_objects_come_with_an_id_too(running: Running, group: str) -> None:
    await change(running, ["set", "board", group, "a", "text"])
    async with follow(running) as socket:
        await socket.join("board", group)
        assert (await socket.event())["data"] == [{"id": "a", "value": "text"}]


async def test_nobody_misses_or_repeats_a_change_while_joining(
    running: Running, group: str
) -> None:
    """Clients join while one item is counted up; each sees a snapshot and every number after it."""
    rounds, clients = 120, 12

    async def write() -> None:
        for n in range(rounds):
            await change(running, ["set", "board", group, "n", {"n": n}])

    async def read() -> list[int]:
        seen: list[int] = []
        async with follow(running) as socket:
            await socket.join("board", group)
            while not seen or seen[-1] < rounds - 1:
                event = await socket.event()
                items: list[Any] = event["data"] if event["type"] == "sync" else [event["data"]]
                seen += [item["n"] for item in items]
        return seen

    async def read_later(after: int) -> list[int]:
        for _ in range(after):
            await change(running)
        return await read()

    writing = asyncio.create_task(write())
    for seen in await asyncio.gather(*(read_later(n * 8) for n in range(clients))):
        assert seen == list(range(seen[0], rounds))
    await writing


async def test_any_path_is_fine_but_our_own(running: Running) -> None:
    async with follow(running, "/some/where?authToken=x") as socket:
        await socket.join("board", "empty")
        assert await socket.event() == {"type": "sync", "data": []}
    async with follow(running, "/change") as socket:
        await socket.join("board", "empty")
        assert await socket.event() == {"type": "sync", "data": []}


async def test_an_unknown_stream_is_said_to_be_one(running: Running) -> None:
    async with follow(running) as socket:
        await socket.join("nowhere", "g", "x")
        message = await socket.next()
        assert (message["streamName"], message["groupId"], message["id"]) == ("nowhere", "g", "x")
        assert message["event"] == {
            "type": "event",
            "event": {
                "type": "error",
                "data": {"code": "STREAM_ACCESS_DENIED", "message": "Stream nowhere not found"},
            },
        }


async def test_the_followers_are_counted(running: Running) -> None:
    async with follow(running) as socket:
        await socket.join("board", "g", "a")
        await socket.join("board", "g")
        await socket.event()
        assert running.it.live.statistics() == {
            "sockets": 1, "eventStreams": 0, "rooms": 2, "subscriptions": 2,
        }  # fmt: skip
    await running.until(lambda: not any(running.it.live.statistics().values()), "nobody")


async def test_a_bye_is_answered(running: Running) -> None:
    async with follow(running) as socket:
        await socket.join("board", "empty")
        await socket.next()
        await socket.it.close(1000, "bye")
    await running.until(lambda: running.it.live.rooms.sizes == (0, 0), "empty rooms")
