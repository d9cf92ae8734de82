"""One end of a pipe: requests, answers, notifications, and what breaks the protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepweave.errors import ProtocolError, RemoteError, RunnerGone, TooLarge
from stepweave.rpc import frame
from stepweave.rpc.peer import Peer

pytestmark = pytest.mark.anyio


class Wire:
    """Two peers joined back to back, each writing what the other reads."""

    def __init__(self, requests: dict[str, Any] | None = None) -> None:
        self.writes: list[bytes] = []
        self.notes: list[Any] = []
        self.far = Peer(self._to_near, requests or {}, {"log": self._note})
        self.near = Peer(self._to_far, {}, {})

    def _to_far(self, data: bytes) -> None:
        self.writes.append(data)
        self.far.feed(data)

    def _to_near(self, data: bytes) -> None:
        self.near.feed(data)

    def _note(self, _peer: Peer, params: Any) -> None:
        self.notes.append(params)


def double(peer: Peer, request_id: int, params: Any) -> None:
    peer.respond(request_id, params["n"] * 2)


async def test_a_request_is_answered_with_its_result() -> None:
    wire = Wire({"double": double})
    assert await wire.near.call("double", {"n": 21}) == 42


async def test_requests_of_one_turn_leave_in_few_writes_and_each_gets_its_own_answer() -> None:
    wire = Wire({"double": double})
    answers = await asyncio.gather(*(wire.near.call("double", {"n": n}) for n in range(20)))
    assert answers == [n * 2 for n in range(20)]
    assert len(wire.writes) == 5


async def test_an_unknown_method_is_refused_by_name() -> None:
    wire = Wire()
    with pytest.raises(RemoteError, match="there is no method 'fly'") as caught:
        await wire.near.call("fly", {})
    assert caught.value.remote_code == "unknown_method"


async def test_a_notification_is_not_answered_and_an_unknown_one_is_ignored() -> None:
    wire = Wire()
    wire.near.notify("unheard", {})
    wire.near.notify("log", {"message": "hello"})
    await asyncio.sleep(0)
    assert wire.notes == [{"message": "hello"}]


async def test_closing_ends_every_open_request_once() -> None:
    wire = Wire({"wait": lambda peer, request_id, params: None})
    waiting = [asyncio.ensure_future(wire.near.call("wait", {})) for _ in range(3)]
    await asyncio.sleep(0)
    wire.near.close(RunnerGone("it left"))
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(result) for result in results] == ["it left"] * 3
    with pytest.raises(RunnerGone):
        wire.near.request("wait", {}, lambda error, result: None)


async def test_a_request_over_the_other_sides_limit_is_not_sent() -> None:
    wire = Wire({"double": double})
    wire.near.max_frame = 100
    with pytest.raises(TooLarge, match="accepts 100"):
        await wire.near.call("double", {"n": 1, "more": "x" * 200})
    assert wire.writes == []
    assert await wire.near.call("double", {"n": 1}) == 2


async def test_a_result_over_the_limit_becomes_an_error() -> None:
    wire = Wire({"big": lambda peer, request_id, params: peer.respond(request_id, "x" * 500)})
    wire.far.max_frame = 100
    with pytest.raises(RemoteError, match="a frame of 507 bytes"):
        await wire.near.call("big", {})


@pytest.mark.parametrize(
    "broken",
    [
        {"a": "map"},
        (0, 1, "method"),
        (0, 1, "method", ["not", "a", "map"]),
        (0, -1, "method", {}),
        (0, "id", "method", {}),
        (1, 99, None, None),
        (2, "log"),
        (3, 1, 2, 3),
        "text",
        7,
    ],
)
async def test_another_shape_breaks_the_protocol_and_is_shown(broken: Any) -> None:
    wire = Wire()
    with pytest.raises(ProtocolError) as caught:
        wire.near.feed(frame.pack(broken))
    assert caught.value.frame


async def test_frames_before_a_broken_one_are_served() -> None:
    wire = Wire()
    good = frame.pack((2, "log", {"n": 1}))
    with pytest.raises(ProtocolError, match="not one msgpack value"):
        wire.far.feed(good + b"\x00\x00\x00\x01\xc1" + good)
    assert wire.notes == [{"n": 1}]


async def test_an_oversized_frame_is_skipped_and_told() -> None:
    skipped: list[frame.Oversized] = []
    notes: list[Any] = []
    peer = Peer(
        lambda data: None,
        {},
        {"log": lambda _peer, params: notes.append(params)},
        max_frame=50,
        on_oversized=skipped.append,
    )
    small = frame.pack((2, "log", {}))
    data = frame.pack((2, "log", {"m": "x" * 300})) + small
    for start in range(0, len(data), 7):
        peer.feed(data[start : start + 7])
    assert [item.size for item in skipped] == [len(data) - len(small) - 4]
    assert notes == [{}]
