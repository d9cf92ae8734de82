"""Frames: any split of the bytes gives the same values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stepweave.errors import ProtocolError
from stepweave.rpc.frame import Decoder, Oversized, pack

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_values_come_out_whole_however_the_bytes_are_cut(
    values: list[Any], cuts: list[int]
) -> None:
    data = b"".join(pack(value) for value in values)
    decoder = Decoder()
    found: list[Any] = []
    position = turn = 0
    while position < len(data):
        step = cuts[turn % len(cuts)]
        found += decoder.feed(data[position : position + step])
        position += step
        turn += 1
    assert found == values


@given(st.binary(max_size=300), st.integers(1, 50))
def test_garbage_never_raises(data: bytes, step: int) -> None:
    decoder = Decoder(max_frame=64)
    for start in range(0, len(data), step):
        decoder.feed(data[start : start + step])


@given(st.integers(65, 400), st.integers(1, 90))
def test_an_oversized_frame_is_skipped_without_losing_its_neighbours(size: int, step: int) -> None:
    data = pack(1) + pack(b"x" * size) + pack(2)
    decoder = Decoder(max_frame=64)
    found: list[Any] = []
    for start in range(0, len(data), step):
        found += decoder.feed(data[start : start + step])
    assert [found[0], found[2]] == [1, 2]
    assert isinstance(found[1], Oversized) and found[1].size == len(pack(b"x" * size)) - 4


def test_a_frame_that_is_no_msgpack_stands_as_an_error_between_its_neighbours() -> None:
    found = Decoder().feed(pack("a") + b"\x00\x00\x00\x02\xc1\xc1" + pack("b"))
    assert found[0] == "a" and found[2] == "b"
    assert isinstance(found[1], ProtocolError)
