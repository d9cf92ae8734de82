"""Pending writes: a handler sees its own, never what was forgotten, and guesses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave import payload
from stepweave.engine.store.operations import (
    CronTick,
    Operation,
    StateClear,
    StateDelete,
    StateSet,
    StateUpdate,
)
from stepweave.engine.store.overlay import UNKNOWN, Overlay

ONE, TWO = payload.encode(1), payload.encode(2)


def pending(*operations: Operation) -> Overlay:
    overlay = Overlay()
    overlay.add(operations)
    return overlay


def test_nothing_is_pending_at_first() -> None:
    overlay = Overlay()

    assert overlay.empty
    assert not overlay.touches("g")
    assert overlay.get("g", "k") is None


def test_a_write_and_a_removal_are_seen_at_once() -> None:
    overlay = pending(StateSet("g", "k", ONE), StateDelete("g", "gone"))

    assert overlay.get("g", "k") == (ONE,)
    assert overlay.get("g", "gone") == (None,)
    assert overlay.get("g", "other") is None
    assert overlay.get("h", "k") is None
    assert overlay.touches("g") and not overlay.touches("h")


@pytest.mark.parametrize(
    "operation",
    [
        StateSet("g", "k", TWO, None, (ONE,)),
        StateSet("g", "k", TWO, None, (None,)),
        StateSet("g", "k", TWO, 1),
        StateUpdate("g", "k", []),
        StateClear("g"),
    ],
)
def test_what_depends_on_the_file_or_the_clock_is_unknown(operation: Operation) -> None:
    overlay = pending(StateSet("g", "k", ONE), operation)
    assert overlay.get("g", "k") is UNKNOWN

    overlay.settle((StateSet("g", "k", ONE),))
    assert overlay.get("g", "k") is UNKNOWN
    overlay.settle((operation,))
    assert overlay.get("g", "k") is None
    assert overlay.empty


def test_a_later_write_counts_until_it_is_settled_itself() -> None:
    first, second = (StateSet("g", "k", ONE),), (StateSet("g", "k", TWO),)
    overlay = pending(*first, *second)

    overlay.settle(first)
    assert overlay.get("g", "k") == (TWO,)
    overlay.settle(second)
    assert overlay.empty


def test_a_cleared_group_is_unknown_for_keys_that_nobody_wrote() -> None:
    overlay = pending(StateClear("g"))

    assert overlay.get("g", "any") is UNKNOWN
    assert overlay.get("h", "any") is None
    assert overlay.touches("g")


def test_operations_on_other_things_leave_no_trace() -> None:
    overlay = pending(CronTick("s", 1))

    assert overlay.empty
    overlay.settle((CronTick("s", 1),))


VALUES = st.sampled_from([ONE, TWO])
GROUPS = st.sampled_from("gh")
KEYS = st.sampled_from("kl")
OPERATIONS = st.one_of(
    st.builds(StateSet, GROUPS, KEYS, VALUES),
    st.builds(StateSet, GROUPS, KEYS, VALUES, st.none(), st.tuples(VALUES | st.none())),
    st.builds(StateSet, GROUPS, KEYS, VALUES, st.integers(0, 9)),
    st.builds(StateDelete, GROUPS, KEYS),
    st.builds(StateUpdate, GROUPS, KEYS, st.just([])),
    st.builds(StateClear, GROUPS),
)
UNITS = st.lists(OPERATIONS, min_size=1, max_size=3)


@given(st.lists(UNITS | st.none(), max_size=20))
def test_in_any_order_of_writes_and_commits_it_tells_the_truth_or_nothing(
    script: list[list[Any] | None],
) -> None:
    """A unit is submitted, None commits the oldest one."""
    overlay = Overlay()
    queue: list[list[Any]] = []
    for unit in script:
        if unit is not None:
            overlay.add(unit)
            queue.append(unit)
        elif queue:
            overlay.settle(queue.pop(0))
        operations = [op for unit in queue for op in unit]
        for group in "gh":
            of_group = [op for op in operations if op.group == group]
            assert overlay.touches(group) is bool(of_group)
            for key in "kl":
                mine = [op for op in of_group if isinstance(op, StateClear) or op.key == key]
                found = overlay.get(group, key)
                if not mine:
                    assert found is None
                elif found is not UNKNOWN:
                    assert found == (getattr(mine[-1], "value", None),)
                    assert not isinstance(mine[-1], StateUpdate | StateClear)
        assert overlay.empty is (not operations)
    while queue:
        overlay.settle(queue.pop(0))
    assert overlay.empty
