"""Rooms against a store whose syncs the test holds in its hands."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from stepweave import payload
from stepweave.engine.live.follower import Follower, Key
from stepweave.engine.live.notices import Clock, Message
from stepweave.engine.live.rooms import Rooms
from stepweave.engine.live.trail import Trail
from stepweave.engine.streams import Change
from stepweave.errors import StoreFailed

pytestmark = pytest.mark.anyio

GROUP: Key = ("s", "g", None)


class Store:
    """The little of a store that rooms use; `sync` waits for `release`."""

    def __init__(self) -> None:
        self.settled = 0
        self.durable = 0
        self.items: list[tuple[str, Any]] = []
        self.seq = 0
        self.syncs: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def last_sequence(self) -> int:
        return self.settled

    def synced(self, sequence: int) -> bool:
        return sequence <= self.durable

    async def sync(self, sequence: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.syncs.append((sequence, future))
        await future

    def release(self, error: Exception | None = None) -> None:
        """End the sync that is under way."""
        sequence, future = self.syncs.pop(0)
        if error is None:
            self.durable = sequence
            future.set_result(None)
        else:
            future.set_exception(error)

    def stream_snapshot(self, stream: str, group: str, id: str | None, done: Any) -> None:
        done(None, (self.seq, [each for each in self.items if id in (None, each[0])]))


class Client(Follower):
    """Keeps the events it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Message] = []
        self.sent: list[Any] = []

    def take(self, message: Message) -> bool:
        if self.stale:
            return False
        self.noted.append(message)
        return len(self.noted) == 1

    def flush(self) -> None:
        self.sent += [orjson.loads(message.body)["event"] for message in self.noted]
        self.noted.clear()

    def lost(self, key: Key, reason: str) -> None:
        self.sent.append(reason)


class World:
    """Rooms, their store, and what was said."""

    def __init__(self) -> None:
        self.store = Store()
        self.notices: list[str] = []
        self.rooms = Rooms(self.store, lambda level, text: self.notices.append(text))  # type: ignore[arg-type]

    def commit(self, id: str, value: int, type: str = "create") -> None:
        """A change as the store tells of it."""
        self.store.settled += 1
        self.store.seq += 1
        data = payload.encode({"id": id, "n": value})
        self.rooms.changed(Change("s", "g", id, type, data, self.store.seq, 0))


@pytest.fixture
async def world() -> World:
    return World()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def numbers(client: Client) -> list[int]:
    return [event["data"]["n"] for event in client.sent if event["type"] != "sync"]


async def test_nothing_is_sent_before_it_is_durable_and_one_sync_serves_all(world: World) -> None:
    clients = [Client() for _ in range(3)]
    for client in clients:
        world.rooms.join(client, GROUP)
    await turns()
    world.commit("a", 1)
    world.commit("b", 2)
    await turns()
    assert [client.sent[1:] for client in clients] == [[], [], []]
    world.commit("c", 3)
    assert len(world.store.syncs) == 1
    world.store.release()
    await turns()
    assert len({tuple(numbers(client)) for client in clients}) == 1
    world.store.release()
    await turns()
    assert [numbers(client) for client in clients] == [[1, 2, 3]] * 3


async def test_a_snapshot_waits_for_what_it_shows(world: World) -> None:
    world.store.settled = 7
    world.store.items = [("a", payload.encode({"id": "a", "n": 1}))]
    client = Client()
    world.rooms.join(client, GROUP)
    await turns()
    assert client.sent == []
    world.store.release()
    await turns()
    assert client.sent == [{"type": "sync", "data": [{"id": "a", "n": 1}]}]


async def test_a_disk_that_refuses_holds_changes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepweave.engine.live.rooms._AGAIN_S", 0)
    client = Client()
    world.rooms.join(client, GROUP)
    await turns()
    world.commit("a", 1)
    await turns()
    world.store.release(StoreFailed("no space"))
    await turns()
    assert numbers(client) == []
    assert world.notices == ["changes of streams are held back: no space"]
    world.store.release()
    await turns()
    assert numbers(client) == [1]


async def test_a_stale_follower_starts_anew(world: World) -> None:
    world.store.durable = 1000
    client = Client()
    world.rooms.join(client, GROUP)
    world.rooms.join(client, ("s", "g", "gone"))
    await turns()
    client.stale = True
    world.commit("a", 1)
    await turns()
    assert client.sent == [{"type": "sync", "data": []}]
    world.store.items = [("a", payload.encode({"id": "a", "n": 1}))]
    world.rooms.refresh(client)
    await turns()
    wanted = [
        {"type": "delete", "data": {"id": "gone"}},
        {"type": "sync", "data": [{"id": "a", "n": 1}]},
    ]
    assert sorted(client.sent[1:], key=lambda event: str(event["type"])) == wanted


async def test_more_changes_than_can_be_sent_become_a_snapshot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepweave.engine.live.rooms._MOST_QUEUED", 5)
    client, late = Client(), Client()
    world.rooms.join(client, GROUP)
    await turns()
    world.store.settled = 1
    world.rooms.join(late, ("s", "g", "n9"))
    for n in range(10):
        world.commit("a", n)
    await turns()
    world.store.release()
    await turns()
    # The store of this test reads at once: the last overrun was at the ninth change.
    assert [event["type"] for event in client.sent] == ["sync", "sync", "create"]
    assert numbers(client) == [9]
    assert late.sent == [{"type": "delete", "data": {"id": "n9"}}]
    assert world.notices[0] == "streams change faster than their followers can be told"


async def test_a_long_queue_is_sent_in_slices(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepweave.engine.live.rooms._SLICE_S", 0.0000001)
    client = Client()
    world.rooms.join(client, GROUP)
    await turns()
    for n in range(20):
        world.commit("a", n)
    while len(numbers(client)) < 20:
        if world.store.syncs:
            world.store.release()
        await asyncio.sleep(0)
    assert numbers(client) == list(range(20))


async def test_who_leaves_before_the_snapshot_gets_none(world: World) -> None:
    world.store.settled = 1
    client = Client()
    world.rooms.join(client, GROUP)
    world.rooms.leave(client, GROUP)
    await turns()
    world.store.release()
    await turns()
    assert client.sent == []
    assert world.rooms.sizes == (0, 0)


async def test_an_event_whose_data_is_no_json_is_left_out(world: World) -> None:
    world.store.durable = 1000
    client = Client()
    world.rooms.join(client, GROUP)
    await turns()
    for data in (("json", b"{"), ("json", b"1")):
        world.rooms.changed(Change("s", "g", None, "event", data, 0, 0, "x"))
    await turns()
    assert client.sent[1:] == [{"type": "event", "event": {"type": "x", "data": 1}}]
    assert "cannot be sent" in world.notices[0]


def test_time_never_stands_still() -> None:
    clock = Clock()
    times = [float(clock.tick()) for _ in range(5000)]
    assert times == sorted(set(times))


def test_a_trail_keeps_the_newest_changes_and_knows_what_it_lost() -> None:
    trail = Trail(most=4, most_bytes=1000)

    def add(group: str, seq: int, size: int = 1) -> None:
        trail.add(Change("s", group, "a", "update", ("json", b"1" * size), seq, 0))

    for seq in (1, 2, 3):
        add("g", seq)
    add("h", 1)
    found = trail.between("s", "g", 1, 3)
    assert found is not None
    assert [change.seq for change in found] == [2, 3]
    assert trail.between("s", "g", 3, 3) == []
    assert trail.between("s", "g", 4, 3) is None
    assert trail.between("s", "other", 0, 2) is None
    add("h", 2)
    assert trail.between("s", "g", 0, 3) is None
    assert trail.between("s", "g", 1, 3) is not None
    add("h", 3, 2000)
    assert trail.between("s", "h", 2, 3) is None
