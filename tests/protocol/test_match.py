"""Patterns: what fits, what does not, and what the message says."""

from __future__ import annotations

from typing import Any

import pytest

from stepweave.conformance.match import Mismatch, compare
from stepweave.conformance.patterns import Scope, build

FITS: list[tuple[str, Any, Any]] = [
    ("a map is a subset", {"a": 1}, {"a": 1, "b": 2}),
    ("a map within a map is one, too", {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}),
    ("a list is compared in full", [1, "x", None], [1, "x", None]),
    ("a number equals its float", 2, 2.0),
    ("nil fits a missing field", {"a": None}, {}),
    ("ANY is anything", "ANY", 0),
    ("WHATEVER is nothing, too", {"a": "WHATEVER"}, {}),
    ("NOTHING is nil", "NOTHING", None),
    ("NOTHING is null", "NOTHING", ["json", b"null"]),
    ("ABSENT is a missing field", {"a": "ABSENT"}, {}),
    ("ABSENT is nil", {"a": "ABSENT"}, {"a": None}),
    ("MISSING is a missing field", {"a": "MISSING"}, {"b": 1}),
    ("NIL is there", {"a": "NIL"}, {"a": None}),
    ("json is compared as a value", {"JSON": {"a": 1, "b": [2]}}, ["json", b'{"b":[2.0], "a": 1}']),
    ("json may have come as msgpack", {"JSON": {"a": 1}}, ["msgpack", b"\x81\xa1a\x01"]),
    ("a subset of json", {"JSON_SUBSET": {"a": 1}}, ["json", b'{"a":1,"b":2}']),
    ("ANY within json", {"JSON": {"a": "ANY"}}, ["json", b'{"a":1}']),
    ("text", {"TEXT": "é"}, ["text", "é".encode()]),
    ("bytes", {"BYTES": "00 ff"}, ["bytes", b"\x00\xff"]),
    (
        "msgpack with bytes",
        {"MSGPACK": {"a": {"HEX": "ff"}}},
        ["msgpack", b"\x81\xa1a\xc4\x01\xff"],
    ),
    ("a value of any format", {"VALUE": {"HEX": "ff"}}, ["bytes", b"\xff"]),
    ("a path", {"PATH": "echo"}, "/project/echo.step.py"),
    ("a repeated text", {"REPEAT": ["ab", 3]}, "ababab"),
    ("a type", [{"TYPE": "int"}, {"TYPE": "map"}], [1, {}]),
    ("texts within a text", {"CONTAINS": ["a", "c"]}, "abc"),
    ("elements of a list", {"HAS": [3, {"a": 1}]}, [{"a": 1, "b": 2}, 3]),
    ("the first of a list", {"FIRST": {"a": 1}}, [{"a": 1}, 2]),
    ("one of several", {"ONE_OF": [None, "x"]}, "x"),
    ("one of several, missing", {"a": {"ONE_OF": [None, "x"]}}, {}),
    ("all of several", {"ALL": [{"TYPE": "int"}, {"BETWEEN": [1, 3]}]}, 2),
]

DIFFERS: list[tuple[str, Any, Any, str]] = [
    (
        "another number",
        [0, 1, "emit", {"n": 7}],
        [0, 1, "emit", {"n": 8}],
        "at params.n: got 8, expected 7",
    ),
    (
        "another method",
        [0, 1, "emit", {}],
        [0, 1, "ping", {}],
        'at method: got "ping", expected "emit"',
    ),
    ("a missing field", {"a": 1}, {}, "at a: got nothing, expected 1"),
    ("a list of another length", [1], [1, 2], "got [1, 2], expected [1]"),
    ("true is not 1", {"a": 1}, {"a": True}, "at a: got true, expected 1"),
    ("ANY is not nil", {"a": "ANY"}, {"a": None}, "expected something"),
    ("ABSENT is not there", {"a": "ABSENT"}, {"a": 0}, "at a: got 0, expected nothing here"),
    ("MISSING is not nil", {"a": "MISSING"}, {"a": None}, "at a: got null, expected no such field"),
    ("NIL is not missing", {"a": "NIL"}, {}, "at a: got nothing"),
    (
        "another key in json",
        {"JSON": {"a": 1}},
        ["json", b'{"a":1,"b":2}'],
        "JSON.b: got 2, expected no such key",
    ),
    ("null for a missing key", {"JSON": {"a": None}}, ["json", b"{}"], "JSON.a: got nothing"),
    ("text instead of json", {"JSON": "x"}, ["text", b"x"], "expected a json or msgpack payload"),
    ("json that is none", {"JSON": 1}, ["json", b"NaN"], "NaN is no JSON"),
    ("no payload", {"JSON": 1}, 1, "a payload is [format, bytes]"),
    ("str in place of bin", {"JSON": 1}, ["json", "1"], "a payload is a str and a bin"),
    ("other bytes", {"BYTES": "00"}, ["bytes", b"\x01"], '{"hex": "01"}'),
    ("another type", {"TYPE": "int"}, True, "expected an int"),
    ("a text without it", {"CONTAINS": "x"}, "abc", 'expected a text with "x"'),
    ("a list without it", {"HAS": [4]}, [1, 2], "expected a list with 4"),
    ("none of them", {"ONE_OF": [1, 2]}, 3, "expected one of [1, 2]"),
    ("out of range", {"BETWEEN": [1, 2]}, 3, "a number from 1 to 2"),
]


def scope(**bound: Any) -> Scope:
    return Scope(lambda name: f"/project/{name}.step.py", bound)


@pytest.mark.parametrize(
    ("pattern", "got"), [row[1:] for row in FITS], ids=[row[0] for row in FITS]
)
def test_it_fits(pattern: Any, got: Any) -> None:
    compare(pattern, got, scope())


@pytest.mark.parametrize(
    ("pattern", "got", "message"), [row[1:] for row in DIFFERS], ids=[row[0] for row in DIFFERS]
)
def test_it_differs_and_says_where(pattern: Any, got: Any, message: str) -> None:
    with pytest.raises(Mismatch) as error:
        compare(pattern, got, scope())
    assert message in str(error.value)


def test_a_name_is_bound_by_its_first_place_and_compared_at_the_next() -> None:
    names = scope()
    compare([0, "$call", "emit", {"scope": "$call"}], [0, 5, "emit", {"scope": 5}], names)
    assert names.bound["call"] == 5
    with pytest.raises(Mismatch):
        compare([0, "$call", "emit", {}], [0, 6, "emit", {}], names)


def test_a_choice_that_fails_binds_nothing() -> None:
    names = scope()
    compare({"ONE_OF": [["$a", 1], ["$b", 2]]}, ["x", 2], names)
    assert names.bound == {"b": "x"}


def test_what_is_sent_is_built_from_the_same_forms() -> None:
    sent = build(
        [0, "$id", "x", {"p": {"PATH": "echo"}, "d": {"JSON": {"t": "$t"}}, "gone": "ABSENT"}],
        scope(id=3, t="é"),
    )
    assert sent == [0, 3, "x", {"p": "/project/echo.step.py", "d": ["json", '{"t": "é"}'.encode()]}]


@pytest.mark.parametrize("pattern", ["$nobody", {"CONTAINS": "x"}])
def test_what_cannot_be_sent_is_told(pattern: Any) -> None:
    with pytest.raises(ValueError, match=r"not bound|cannot be sent"):
        build(pattern, scope())
