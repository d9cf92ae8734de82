"""The runner's own msgpack codec against the vectors and the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.python.tests import vectors
from stepweave_runner import msgpack

FRAMES = json.loads((vectors.FOLDER / "frames.json").read_text(encoding="utf-8"))

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20)
    ),
)


@pytest.mark.parametrize("entry", FRAMES["valid"], ids=lambda entry: str(entry["name"]))
def test_a_valid_vector_is_read_and_a_canonical_one_written(entry: dict[str, Any]) -> None:
    body = bytes.fromhex(entry["hex"])[4:]
    expected = vectors.untag(entry["value"])

    assert msgpack.unpackb(body) == expected
    if entry["canonical"]:
        assert msgpack.packb(expected) == body


@pytest.mark.parametrize(
    "entry",
    [entry for entry in FRAMES["invalid"] if entry["error"] == "malformed"],
    ids=lambda entry: str(entry["name"]),
)
def test_a_malformed_vector_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        msgpack.unpackb(bytes.fromhex(entry["hex"])[4:])


@given(trees)
def test_the_bytes_are_those_of_the_library(tree: Any) -> None:
    written = library.packb(tree)

    assert msgpack.packb(tree) == written
    assert msgpack.unpackb(written) == tree


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_a_value_error(data: bytes) -> None:
    try:
        msgpack.unpackb(data)
    except (ValueError, TypeError):  # a list as a map's key is a TypeError
        pass


@pytest.mark.parametrize("size", [15, 16, 31, 32, 255, 256, 65535, 65536])
def test_every_width_of_a_length_is_written_as_the_library_does(size: int) -> None:
    for value in ("x" * size, b"x" * size, [0] * size, {str(n): n for n in range(size)}):
        assert msgpack.packb(value) == library.packb(value)
        assert msgpack.unpackb(library.packb(value)) == value


def test_subclasses_are_written_as_what_they_extend() -> None:
    class Text(str):
        pass

    class Map(dict[str, Any]):
        pass

    assert msgpack.packb(Map(a=Text("b"))) == library.packb({"a": "b"})
    assert msgpack.packb(bytearray(b"ab")) == msgpack.packb(memoryview(b"ab"))


def test_what_has_no_form_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="Path"):
        msgpack.packb({"at": Path("/")})
    with pytest.raises(OverflowError):
        msgpack.packb(1 << 64)
