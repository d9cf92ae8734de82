"""Payloads: which format a value takes, what cannot be sent or read, and what people see of it."""

from __future__ import annotations

from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave import payload
from stepweave.errors import InvalidInput

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | TEXT | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    SCALARS | st.integers(-(2**63), 2**64 - 1),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
WITH_BYTES = st.recursive(
    SCALARS | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
DEEP: Any = []
for _ in range(2000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (None, ("json", b"null")),
        ("ü", ("json", '"ü"'.encode())),
        ({"a": [1, 2.5, True]}, ("json", b'{"a":[1,2.5,true]}')),
        ({1: "one", None: 2}, ("json", b'{"1":"one","null":2}')),
        (float("nan"), ("json", b"null")),
        (b"\xff", ("bytes", b"\xff")),
        (bytearray(b"a"), ("bytes", b"a")),
        (memoryview(b"a"), ("bytes", b"a")),
        ({"b": b"\xff"}, ("msgpack", msgpack.packb({"b": b"\xff"}))),
    ],
)
def test_a_value_is_json_unless_it_holds_bytes(value: Any, encoded: payload.Payload) -> None:
    assert payload.encode(value) == encoded


@given(JSON | WITH_BYTES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    kind, data = payload.encode(value)

    assert kind in payload.FORMATS
    assert payload.decode((kind, data)) == value


@pytest.mark.parametrize(
    "value",
    [object(), {"a": object()}, "\ud800", 2**64, -(2**63) - 1, {"b": b"", "n": 2**64}, DEEP],
)
def test_what_has_no_form_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="the value cannot be sent: "):
        payload.encode(value)


def test_no_payload_is_no_value() -> None:
    assert payload.decode(None) is None
    assert payload.check(None) is None
    assert payload.size(None) == 0
    assert payload.preview(None, 10) is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("json", b""),
        ("json", b"{"),
        ("json", b"\xff"),
        ("text", b"\xff"),
        ("msgpack", b""),
        ("msgpack", b"\xc1"),
        ("msgpack", b"\xa1\xff"),
        ("msgpack", b"\x01\x02"),
        ("msgpack", b"\x91" * 2000),
        ("msgpack", b"\x81\x90\x01"),
        ("msgpack", b"\x81\x80\x01"),
        ("msgpack", b"\xdd\xff\xff\xff\xff"),
        ("msgpack", b"\xd4\xff\x00"),
    ],
)
def test_bytes_that_are_not_of_their_format_cannot_be_read(kind: str, data: bytes) -> None:
    with pytest.raises(InvalidInput, match=f"a {kind} payload of {len(data)} bytes cannot be read"):
        payload.decode((kind, data))


@given(st.sampled_from(sorted(payload.FORMATS)), st.binary())
def test_any_bytes_of_any_format_are_read_or_refused(kind: str, data: bytes) -> None:
    given = (kind, data)
    assert payload.check(given) is given
    for read in (payload.decode, lambda it: payload.preview(it, 20)):
        try:
            read(given)
        except InvalidInput:
            pass
    if kind != "json":
        try:
            orjson.loads(payload.as_json(given))
        except InvalidInput:
            pass


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "json",
        b"json",
        5,
        ["json"],
        ["json", "text"],
        ["json", bytearray()],
        ["json", b"", b""],
        ["xml", b""],
        [None, b""],
        [["json"], b""],
        [{}, b""],
        [b"json", b""],
        ["x" * 1000, b""],
    ],
)
def test_what_a_broken_runner_sends_is_no_payload(value: Any) -> None:
    with pytest.raises(InvalidInput, match="a payload is nil or ") as caught:
        payload.check(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (("json", b" [1]"), b" [1]"),
        (("text", b'a"b'), b'"a\\"b"'),
        (("bytes", b"\xff"), b'"/w=="'),
        (payload.encode({"a": [b"\xff", 1]}), b'{"a":["/w==",1]}'),
        (("msgpack", msgpack.packb({1: float("nan")})), b'{"1":null}'),
        (("msgpack", msgpack.packb(msgpack.ExtType(5, b"x"))), b"\"ExtType(code=5, data=b'x')\""),
    ],
)
def test_every_payload_has_a_json_form(given: payload.Payload, written: bytes) -> None:
    assert payload.as_json(given) == written


@pytest.mark.parametrize(
    "data", [msgpack.packb({b"key": 1}), b"\x91" * 500 + b"\x90", msgpack.packb([1])[:-1]]
)
def test_but_not_one_with_keys_or_a_depth_that_json_has_not(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        payload.as_json(("msgpack", data))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (("json", b'{"a":1}'), '{"a":1}'),
        (("text", b"abcdefghijk"), "abcdefghij… (11 bytes)"),
        (("text", "aüüüüü".encode()), "aüüüü\ufffd… (11 bytes)"),
        (("bytes", b"\x01\x02"), "2 bytes: 0102"),
        (("bytes", b"\xff" * 100), "100 bytes: ffffffffff"),
        (payload.encode([b"\xff"]), '["/w=="]'),
    ],
)
def test_people_see_the_beginning(given: payload.Payload, shown: str) -> None:
    assert payload.preview(given, 10) == shown


def test_the_size_is_that_of_the_users_bytes() -> None:
    assert payload.size(("json", b"[1]")) == 3
