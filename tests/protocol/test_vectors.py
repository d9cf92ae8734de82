"""The orchestrator's codecs against protocol/vectors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepweave import payload
from stepweave.errors import InvalidInput, ProtocolError
from stepweave.rpc import frame
from stepweave.rpc.peer import Peer
from tests.protocol import tagged

FRAMES = tagged.read("frames.json")
PAYLOADS = tagged.read("payloads.json")


def named(entries: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("entry", entries, ids=[entry["name"] for entry in entries])


@named(FRAMES["valid"])
def test_a_valid_frame_is_read(entry: dict[str, Any]) -> None:
    (value,) = frame.Decoder().feed(bytes.fromhex(entry["hex"]))
    assert tagged.same(value, tagged.value(entry["value"]))


@named([entry for entry in FRAMES["valid"] if entry["canonical"]])
def test_a_value_is_written_in_the_shortest_form(entry: dict[str, Any]) -> None:
    assert frame.pack(tagged.value(entry["value"])).hex() == entry["hex"]


@pytest.mark.parametrize("size", [1, 3, 4, 5, 64])
def test_frames_are_read_however_the_bytes_are_cut(size: int) -> None:
    data = b"".join(bytes.fromhex(entry["hex"]) for entry in FRAMES["valid"])
    decoder = frame.Decoder()
    values = [
        value
        for start in range(0, len(data), size)
        for value in decoder.feed(data[start : start + size])
    ]
    assert tagged.same(values, [tagged.value(entry["value"]) for entry in FRAMES["valid"]])


@named([entry for entry in FRAMES["invalid"] if entry["error"] == "malformed"])
def test_bytes_that_are_no_value_are_told(entry: dict[str, Any]) -> None:
    (error,) = frame.Decoder().feed(bytes.fromhex(entry["hex"]))
    assert isinstance(error, ProtocolError)


@named([entry for entry in FRAMES["invalid"] if entry["error"] == "too_large"])
def test_a_frame_over_the_limit_is_skipped(entry: dict[str, Any]) -> None:
    after = frame.pack([2, "after", {}])
    data = bytes.fromhex(entry["hex"])
    oversized, value = frame.Decoder(entry["max_frame"]).feed(data + after)
    assert oversized.size == len(data) - 4
    assert tagged.same(value, [2, "after", {}])


@named([entry for entry in FRAMES["invalid"] if entry["error"] == "shape"])
def test_another_shape_is_refused(entry: dict[str, Any]) -> None:
    async def feed() -> None:
        serve = {"ping": lambda peer, number, params: None}
        peer = Peer(lambda data: None, serve, {"log": lambda peer, params: None})
        with pytest.raises(ProtocolError):
            peer.feed(bytes.fromhex(entry["hex"]))

    asyncio.run(feed())


@named([entry for entry in PAYLOADS["read"] if "value" in entry])
def test_a_payload_is_read(entry: dict[str, Any]) -> None:
    given = payload.check([entry["format"], bytes.fromhex(entry["hex"])])
    assert tagged.same(payload.decode(given), tagged.value(entry["value"]))


@named([entry for entry in PAYLOADS["read"] if "error" in entry])
def test_a_payload_that_cannot_be_read_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        payload.decode(payload.check([entry["format"], bytes.fromhex(entry["hex"])]))


@named(PAYLOADS["write"])
def test_a_value_is_written_in_its_format(entry: dict[str, Any]) -> None:
    value = tagged.value(entry["value"])
    kind, data = payload.encode(value)
    assert kind == entry["format"]
    assert data.hex() == entry["hex"]
    assert tagged.same(payload.decode((kind, data)), value)
