"""Updates in place: what each operation does where, and what does not fit is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave import payload
from stepweave.engine.store import patch
from stepweave.errors import InvalidInput

ABSENT = object()


def op(name: str, path: Any = (), value: Any = ABSENT) -> dict[str, Any]:
    made = {"op": name, "path": path}
    return made if value is ABSENT else {**made, "value": payload.encode(value)}


def apply(current: Any, *ops: dict[str, Any]) -> Any:
    before = None if current is ABSENT else payload.encode(current)
    return payload.decode(patch.apply(before, ops))


@pytest.mark.parametrize(
    ("current", "change", "after"),
    [
        (ABSENT, op("set", [], 1), 1),
        (1, op("set", [], None), None),
        (1, op("set", [], b"\xff"), b"\xff"),
        (ABSENT, op("set", ["a"], 1), {"a": 1}),
        (ABSENT, op("set", ["a", "b", "c"], 1), {"a": {"b": {"c": 1}}}),
        ({"a": 1, "b": 2}, op("set", ["a"], 3), {"a": 3, "b": 2}),
        ({"a": None}, op("set", ["a", "b"], 1), {"a": {"b": 1}}),
        ({"a": {}}, op("set", ["a", 0], 1), {"a": {"0": 1}}),
        ({"a": [1, 2]}, op("set", ["a", 0], 3), {"a": [3, 2]}),
        ({"a": [1, 2]}, op("set", ["a", 2], 3), {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, op("set", ["a", -1], 3), {"a": [1, 3]}),
        ([{"n": 1}], op("set", [0, "n"], 2), [{"n": 2}]),
        ({}, op("set", ["a"]), {"a": None}),
    ],
)
def test_set_puts_a_value_and_makes_the_way_to_it(
    current: Any, change: dict[str, Any], after: Any
) -> None:
    assert apply(current, change) == after


@pytest.mark.parametrize(
    ("current", "change", "after"),
    [
        (ABSENT, op("merge", [], {"a": 1}), {"a": 1}),
        ({"a": 1, "b": {"x": 1}}, op("merge", [], {"b": {"y": 2}}), {"a": 1, "b": {"y": 2}}),
        ({"a": {"x": 1}}, op("merge", ["a"], {"y": 2}), {"a": {"x": 1, "y": 2}}),
        ({"a": None}, op("merge", ["a"], {"y": 2}), {"a": {"y": 2}}),
        (ABSENT, op("increment"), 1),
        (5, op("increment", [], -7), -2),
        (0.5, op("increment", [], 0.25), 0.75),
        ({}, op("increment", ["n"]), {"n": 1}),
        ({"n": 2}, op("increment", ["n"], 3), {"n": 5}),
        ([1, 2], op("increment", [1]), [1, 3]),
        (ABSENT, op("append", [], "x"), ["x"]),
        ([1], op("append", [], [2]), [1, [2]]),
        ({"a": [1]}, op("append", ["a"], 2), {"a": [1, 2]}),
        ({}, op("append", ["a", "b"], b"\xff"), {"a": {"b": [b"\xff"]}}),
        (5, op("remove"), None),
        ({"a": 1, "b": 2}, op("remove", ["a"]), {"b": 2}),
        ({"b": 2}, op("remove", ["a"]), {"b": 2}),
        ([1, 2, 3], op("remove", [0]), [2, 3]),
        ([1, 2, 3], op("remove", [7]), [1, 2, 3]),
        ({"a": "text"}, op("remove", ["a", "b"]), {"a": "text"}),
    ],
)
def test_the_other_operations(current: Any, change: dict[str, Any], after: Any) -> None:
    assert apply(current, change) == after


def test_operations_apply_in_order_each_to_what_the_last_one_left() -> None:
    after = apply(
        {"n": 1},
        op("increment", ["n"]),
        op("set", ["log"], []),
        op("append", ["log"], "up"),
        op("remove", ["n"]),
        op("merge", [], {"done": True}),
    )

    assert after == {"log": ["up"], "done": True}


@pytest.mark.parametrize(
    ("current", "change", "says"),
    [
        ({}, op("grow"), "an update knows set, merge, increment, append, remove, not 'grow'"),
        ({}, {}, "not None"),
        ({}, {"op": ["set"]}, r"not \['set'\]"),
        ({}, op("set", "a.b", 1), "is a list of keys and indexes, not 'a.b'"),
        ({}, op("set", ["a", 1.5], 1), r"not \['a', 1.5\]"),
        ([1], op("set", [True], 1), r"not \[True\]"),
        ({}, op("set", [None], 1), r"not \[None\]"),
        ({}, {"op": "set", "path": ["a"], "value": 5}, "a payload is nil or"),
        ({}, {"op": "set", "path": [], "value": ["json", b"{"]}, "cannot be read"),
        ({"a": [1]}, op("set", ["a", 3], 1), "a.3: there is no place for it in a list"),
        ({"a": [1]}, op("set", ["a", "b"], 1), "a.b: there is no place for it in a list"),
        ({"a": [1]}, op("set", ["a", 1, "b"], 1), "a.1.b: 1 leads nowhere in a list"),
        ({"a": "t"}, op("set", ["a", "b"], 1), "a.b: there is no place for it in a text"),
        ({"a": 5}, op("set", ["a", "b", "c"], 1), "a.b.c: 'b' leads nowhere in a number"),
        ({"a": True}, op("remove", ["a", "b", "c"]), "leads nowhere in a boolean"),
        ([None], op("set", [0, "a"], 1), "there is no place for it in a null"),
        ([1], op("merge", [], {}), "the value: merge joins two objects, not list and object"),
        ({"a": 1}, op("merge", ["a"], {}), "a: merge joins two objects, not number and object"),
        ({}, op("merge", [], [1]), "not object and list"),
        ({"a": "1"}, op("increment", ["a"]), "a: increment adds numbers, not number to text"),
        ({"a": True}, op("increment", ["a"]), "not number to boolean"),
        (1, op("increment", [], "1"), "not text to number"),
        ({"a": {}}, op("append", ["a"], 1), "a: append needs a list, not object"),
        ("text", op("append", [], 1), "the value: append needs a list, not text"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    current: Any, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        apply(current, change)


@pytest.mark.parametrize("by", [1e308, 2**63])
def test_a_sum_that_no_number_can_hold_is_refused_and_not_made_null(by: Any) -> None:
    assert apply(by, op("increment", [], 0)) == by
    with pytest.raises(InvalidInput):
        apply(by, op("increment", [], by))


def test_a_current_value_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        patch.apply(("msgpack", b"\xc1"), [op("set", ["a"], 1)])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab0"), inner),
    max_leaves=6,
)
PATHS = st.lists(st.sampled_from(["a", "b", "0", 0, 1, -1]), max_size=3)
OPS = st.builds(op, st.sampled_from(patch.OPERATIONS), PATHS, VALUES)


@given(VALUES, st.lists(OPS, max_size=4))
def test_any_updates_of_any_value_succeed_or_are_refused(
    current: Any, ops: list[dict[str, Any]]
) -> None:
    before = payload.encode(current)
    try:
        after = patch.apply(before, ops)
    except InvalidInput as error:
        assert str(error)
    else:
        assert payload.check(after)
        last = ops[-1] if ops else None
        if last is not None and last["op"] == "set":
            found = payload.decode(after)
            for part in last["path"]:
                found = found[part] if isinstance(found, list) else found[str(part)]
            assert payload.encode(found) == last["value"]
