"""Locks of atomic calls: one owner of a key at a time, whatever is wanted while one goes on."""

from __future__ import annotations

from stepweave.engine.locks import Holder, Key, Locks

ONE: Key = (None, "g", "one")
TWO: Key = (None, "g", "two")


def test_whoever_goes_on_first_takes_no_key_for_which_another_waits() -> None:
    locks, order = Locks(), list[str]()
    first, second, third = Holder(), Holder(), Holder()
    for key in (ONE, TWO):
        locks.take(key, first, lambda: None)

    def went_on() -> None:
        order.append("second has one")
        locks.take(TWO, second, lambda: order.append("second has two"))

    locks.take(ONE, second, went_on)
    locks.take(TWO, third, lambda: order.append("third has two"))

    locks.release(first)
    assert sorted(order) == ["second has one", "third has two"]
    locks.release(third)
    assert order[2:] == ["second has two"]
    locks.release(second)
    assert not locks._owners and not locks._waiting
