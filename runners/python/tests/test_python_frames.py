"""Frames out of chunks of bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runners.python.tests import vectors
from stepweave_runner import msgpack
from stepweave_runner.errors import ProtocolError
from stepweave_runner.frames import Decoder, Oversized, frame, show

INVALID = json.loads((vectors.FOLDER / "frames.json").read_text(encoding="utf-8"))["invalid"]


def framed(value: Any) -> bytes:
    return frame(msgpack.packb(value))


def test_many_frames_in_one_chunk_come_out_in_order() -> None:
    decoder = Decoder(msgpack.unpackb)

    assert decoder.feed(b"".join(framed(n) for n in range(5))) == [0, 1, 2, 3, 4]


def test_a_frame_may_come_byte_by_byte() -> None:
    decoder = Decoder(msgpack.unpackb)
    data = framed(["a", {"b": b"c" * 300}]) + framed(2)

    values = [value for byte in data for value in decoder.feed(bytes((byte,)))]

    assert values == [["a", {"b": b"c" * 300}], 2]


@pytest.mark.parametrize("chunk", [1, 3, 7, 20, 64, 1000])
def test_a_frame_over_the_limit_is_skipped_and_the_next_one_read(chunk: int) -> None:
    decoder = Decoder(msgpack.unpackb, 64)
    long = framed([0, 300, "invoke", {"pad": "x" * 100}])
    data = framed(1) + long + framed(2) + long + framed(3)

    values = [
        value for at in range(0, len(data), chunk) for value in decoder.feed(data[at : at + chunk])
    ]

    size = len(long) - 4
    assert values == [1, Oversized(size, 300), 2, Oversized(size, 300), 3]


@pytest.mark.parametrize("id", [0, 127, 128, 255, 65535, 65536, (1 << 32) - 1])
def test_the_id_of_a_long_request_is_found_in_its_first_bytes(id: int) -> None:
    data = framed([0, id, "invoke", {"pad": "x" * 100}])

    (skipped,) = Decoder(msgpack.unpackb, 64).feed(data)

    assert skipped.request == id


def test_a_long_frame_that_is_no_request_has_no_id() -> None:
    (skipped,) = Decoder(msgpack.unpackb, 64).feed(framed([1, 5, None, "x" * 100]))

    assert skipped.request is None


@pytest.mark.parametrize(
    "entry",
    [entry for entry in INVALID if entry["error"] in ("malformed", "too_large")],
    ids=lambda entry: str(entry["name"]),
)
def test_invalid_vectors_are_told_apart(entry: dict[str, Any]) -> None:
    decoder = Decoder(msgpack.unpackb, entry["max_frame"])

    if entry["error"] == "too_large":
        (skipped,) = decoder.feed(bytes.fromhex(entry["hex"]))
        assert isinstance(skipped, Oversized)
    else:
        with pytest.raises(ProtocolError, match="protocol_error"):
            decoder.feed(bytes.fromhex(entry["hex"]))


def test_text_on_the_wire_is_shown_as_text() -> None:
    decoder = Decoder(msgpack.unpackb)

    with pytest.raises(ProtocolError, match="lo from a print"):
        decoder.feed(b"\x00\x00\x00\x14hello from a print!\n" + b"more")


def test_what_is_shown_is_cut() -> None:
    assert len(show("x" * 10_000)) < 300
