"""Value rules: what native values become before they are packed, and what payloads give back."""

from __future__ import annotations

import datetime
import json
import math
from collections import deque, namedtuple
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.python.tests import vectors
from stepweave_runner import jsons, values
from stepweave_runner.errors import InvalidPayload

VALUES = json.loads((vectors.FOLDER / "values.json").read_text(encoding="utf-8"))["cases"]
PAYLOADS = json.loads((vectors.FOLDER / "payloads.json").read_text(encoding="utf-8"))


class Colour(Enum):
    DARK_RED = "dark-red"


@dataclass
class Point:
    x: int
    y: int


class NamedPoint(NamedTuple):
    x: int
    y: int


NAMES = {
    "datetime": datetime.datetime,
    "date": datetime.date,
    "timezone": datetime.timezone,
    "math": math,
    "Decimal": Decimal,
    "UUID": UUID,
    "PurePosixPath": PurePosixPath,
    "Colour": Colour,
    "Point": Point,
    "NamedPoint": NamedPoint,
}


@pytest.fixture(params=["orjson", "json"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both JSON libraries that a user may have."""
    if request.param == "json":
        monkeypatch.setattr(jsons, "orjson", None)
    return str(request.param)


@pytest.mark.parametrize(
    "case",
    [case for case in VALUES if "python" in case["from"]],
    ids=lambda case: str(case["case"]),
)
def test_a_native_value_becomes_what_the_vector_says(case: dict[str, Any], library: str) -> None:
    native = eval(case["from"]["python"], dict(NAMES))

    form, data = values.encode(native)

    assert form == case["format"]
    assert_like(values.decode([form, data]), case["value"])


@pytest.mark.parametrize("entry", PAYLOADS["write"], ids=lambda entry: str(entry["name"]))
def test_a_payload_is_written_as_the_vector_says(entry: dict[str, Any], library: str) -> None:
    payload = values.encode(vectors.untag(entry["value"]))

    assert payload == [entry["format"], bytes.fromhex(entry["hex"])]


@pytest.mark.parametrize("entry", PAYLOADS["read"], ids=lambda entry: str(entry["name"]))
def test_a_payload_is_read_as_the_vector_says(entry: dict[str, Any], library: str) -> None:
    payload = [entry["format"], bytes.fromhex(entry["hex"])]

    if "error" in entry:
        with pytest.raises(InvalidPayload):
            values.decode(payload)
    else:
        read = values.decode(payload)
        expected = vectors.untag(entry["value"])
        assert read == expected and type(read) is type(expected)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(1 << 53), 1 << 53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_json_comes_back_as_it_went(value: Any) -> None:
    assert values.decode(values.encode(value)) == value


PAIR: Any = namedtuple("PAIR", "a b")
NATIVE: list[tuple[Any, str, Any]] = [
    (b"\x00", "bytes", b"\x00"),
    ({1, 2}, "json", [1, 2]),
    (deque([1]), "json", [1]),
    ({"a": 1}.keys(), "json", ["a"]),
    ({"a": 1}.values(), "json", [1]),
    (range(3), "json", [0, 1, 2]),
    ({True: 1, None: 2, 1.5: 3, UUID(int=0): 4}, "json", None),
    (datetime.timedelta(minutes=1), "json", 60.0),
    (datetime.time(1, 2, 3), "json", "01:02:03"),
    (IntEnum("Level", {"LOW": 1}).LOW, "json", 1),  # type: ignore[attr-defined]
    ([print, 1], "json", [None, 1]),
    ({"f": print, "t": int, "n": 1}, "json", {"n": 1}),
    ({"at": math.nan, "b": b"\x01"}, "msgpack", {"at": None, "b": b"\x01"}),
    ({"big": 1 << 70, "b": b"\x01"}, "msgpack", {"big": str(1 << 70), "b": b"\x01"}),
    (PAIR(1, 2), "json", {"a": 1, "b": 2}),
    ([Point(1, 2), NamedPoint(3, 4)], "json", [{"x": 1, "y": 2}, {"x": 3, "y": 4}]),
]


@pytest.mark.parametrize(("native", "form", "expected"), NATIVE)
def test_other_native_values(native: Any, form: str, expected: Any, library: str) -> None:
    payload = values.encode(native)

    assert payload[0] == form
    if expected is None:
        expected = {"true": 1, "null": 2, "1.5": 3, str(UUID(int=0)): 4}
    assert values.decode(payload) == expected


def test_objects_give_their_public_attributes(library: str) -> None:
    class Order:
        def __init__(self) -> None:
            self.id = 1
            self._secret = 2
            self.total = Decimal("1.5")

        def pay(self) -> None: ...

    assert values.decode(values.encode({"order": Order()})) == {"order": {"id": 1, "total": "1.5"}}


def test_library_types_are_read_by_what_they_offer(library: str) -> None:
    class Model:
        def model_dump(self, by_alias: bool) -> dict[str, Any]:
            return {"alias": by_alias, "when": datetime.date(2024, 1, 2)}

    class Scalar:
        __slots__ = ()

        def item(self) -> float:
            return 1.5

    class Array:
        __slots__ = ()

        def tolist(self) -> list[int]:
            return [1, 2]

    class Table:
        ndim = 2

        def to_dict(self, orient: str) -> list[dict[str, str]]:
            return [{"orient": orient}]

    class NaTType(datetime.datetime):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return False

    mixed = [Model(), Scalar(), Array(), Table(), NaTType(2024, 1, 2)]

    assert values.decode(values.encode(mixed)) == [
        {"alias": True, "when": "2024-01-02"},
        1.5,
        [1, 2],
        [{"orient": "records"}],
        None,
    ]


@pytest.mark.parametrize(
    ("text", "written"), [("a\ud800", "a\ufffd"), ("\udc00é\ud83d\ude00", "\ufffdé😀")]
)
def test_halves_of_surrogate_pairs_become_what_utf_8_can_hold(
    text: str, written: str, library: str
) -> None:
    assert values.decode(values.encode({text: [text]})) == {written: [written]}
    assert values.decode(values.encode({text: [text, b"x"]})) == {written: [written, b"x"]}


@pytest.mark.parametrize("number", [1 << 64, 10**30, -(1 << 63) - 1])
def test_an_integer_over_64_bits_is_its_digits(number: int, library: str) -> None:
    assert values.decode(values.encode(number)) == str(number)
    assert values.decode(values.encode({"n": [number]})) == {"n": [str(number)]}
    assert values.decode(values.encode([(1 << 64) - 1, -(1 << 63)])) == [(1 << 64) - 1, -(1 << 63)]


def test_a_circular_value_is_refused_with_its_path(library: str) -> None:
    order: dict[str, Any] = {"lines": [{"sku": 1}]}
    order["lines"][0]["order"] = order

    with pytest.raises(InvalidPayload, match=r"lines\.0\.order contains itself"):
        values.encode(order)


def test_a_value_that_is_twice_in_one_place_is_not_circular(library: str) -> None:
    address = {"city": "Brno"}

    assert values.decode(values.encode([address, address, {1: address}]))


def test_a_forgotten_await_is_named(library: str) -> None:
    async def price() -> int:
        return 1

    forgotten = price()
    with pytest.raises(InvalidPayload, match="price is a coroutine; is an `await` missing"):
        values.encode({"price": forgotten})
    forgotten.close()


@pytest.mark.parametrize("impossible", [object(), iter([1]), open], ids=["object", "iterator", "f"])
def test_what_has_no_form_is_refused(impossible: Any, library: str) -> None:
    with pytest.raises(InvalidPayload):
        values.encode(impossible)


def test_nesting_without_end_is_refused(library: str) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(InvalidPayload, match="nested too deeply"):
        values.encode(deep)
    while deep:
        deep = deep[0]


def test_an_error_keeps_its_stack() -> None:
    try:
        raise ValueError("too far")
    except ValueError as error:
        written = values.decode(values.encode_json({"error": error}))

    assert written["error"]["name"] == "ValueError"
    assert "test_an_error_keeps_its_stack" in written["error"]["stack"]


def test_bytes_are_base64_where_only_json_can_be(library: str) -> None:
    assert values.encode_json({"raw": b"\x00\xff"}) == ["json", b'{"raw":"AP8="}']


def assert_like(value: Any, expected: Any) -> None:
    """Equal, but for the text "ANY" and {"HEX": …} in what is expected."""
    if expected == "ANY":
        return
    if isinstance(expected, dict) and set(expected) == {"HEX"}:
        assert value == bytes.fromhex(expected["HEX"])
    elif isinstance(expected, dict):
        assert set(value) == set(expected)
        for key, item in expected.items():
            assert_like(value[key], item)
    else:
        assert value == expected
