"""An answer in parts leaves when what it depends on is on disk, and is then confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from types import SimpleNamespace
from typing import Any

import pytest

from stepweave.calls import Call, Outcome
from stepweave.errors import GivenUp, StoreFailed
from stepweave.http.streaming import Streaming
from stepweave.streamed import Streamed
from stepweave.trace import Span, new_trace_id

pytestmark = pytest.mark.anyio


class Disk:
    """A store whose syncs are let through one by one."""

    def __init__(self) -> None:
        self.on_disk = 0
        self.broken = False
        self.asked: list[int] = []

    def synced(self, sequence: int) -> bool:
        return sequence <= self.on_disk

    async def sync(self, sequence: int) -> None:
        self.asked.append(sequence)
        while self.on_disk < sequence:
            if self.broken:
                raise StoreFailed("the disk is full")
            await asyncio.sleep(0)


class Edge:
    """One answer on its way: what was sent, what was confirmed, and a client that may leave."""

    def __init__(self, disk: Disk) -> None:
        step: Any = SimpleNamespace(name="S", relpath="s.py", language="python", revision=1)
        span = Span(new_trace_id(), "S", "api", "python")
        self.call = Call(step, "api", {}, span, lambda outcome: None)
        self.sent: list[Any] = []
        self.told: list[Any] = []
        self.cancelled: list[str] = []
        self.gone = asyncio.Event()
        self.streamed = Streamed(200, {}, self.done)
        streaming = Streaming(disk, lambda call, reason: self.cancelled.append(reason), None)
        scope = {"method": "GET", "state": {}}
        self.task = asyncio.create_task(
            streaming.send(
                self.call, self.streamed, [], ("t", None), scope, self.receive, self.send
            )
        )

    def done(self, error: Any, result: Any) -> None:
        self.told.append(result if error is None else type(error))

    async def receive(self) -> MutableMapping[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message.get("body", "head"))

    async def turns(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


async def test_head_and_parts_wait_for_the_disk() -> None:
    disk = Disk()
    edge = Edge(disk)
    edge.call.wrote = 1
    await edge.turns()
    assert (edge.sent, edge.told) == ([], [])

    disk.on_disk = 1
    await edge.turns()
    assert (edge.sent, edge.told) == (["head"], [{"wanted": True}])

    edge.call.wrote = 2
    edge.streamed.write(b"part", edge.done)
    await edge.turns()
    assert (edge.sent, edge.told[1:]) == (["head"], [])

    disk.on_disk = 2
    await edge.turns()
    assert (edge.sent, edge.told[1:]) == (["head", b"part"], [None])

    edge.streamed.end(Outcome("ok"))
    assert await edge.task is True
    assert edge.sent[-1] == b""


async def test_a_head_that_cannot_be_made_durable_is_not_sent() -> None:
    disk = Disk()
    edge = Edge(disk)
    edge.call.wrote, disk.broken = 1, True
    with pytest.raises(StoreFailed):
        await edge.task
    assert (edge.sent, edge.told, edge.cancelled) == ([], [GivenUp], ["client"])


async def test_a_client_that_leaves_cancels_the_call_and_refuses_parts() -> None:
    edge = Edge(Disk())
    await edge.turns()
    edge.gone.set()
    await edge.turns()
    assert edge.cancelled == ["client"]

    edge.streamed.write(b"late", edge.done)
    assert edge.told[-1] is GivenUp
    edge.streamed.end(Outcome("cancelled"))
    assert await edge.task is False
    assert edge.sent == ["head"]


async def test_what_was_written_before_the_end_is_sent() -> None:
    edge = Edge(Disk())
    for part in (b"1", b"2"):
        edge.streamed.write(part, edge.done)
    edge.streamed.end(Outcome("ok"))
    assert await edge.task is True
    assert edge.sent == ["head", b"1", b"2", b""]
