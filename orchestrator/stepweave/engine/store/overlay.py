"""State writes that are on their way to the file, so that a handler reads its own writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stepweave.engine.store.operations import (
    Operation,
    StateClear,
    StateDelete,
    StateSet,
    StateUpdate,
)
from stepweave.payload import Payload

__all__ = ["UNKNOWN", "Overlay"]

UNKNOWN: Final = object()
"""The value of a key whose pending change is only known once it is applied."""

_OF_STATE = frozenset({StateSet, StateDelete, StateUpdate, StateClear})


class Overlay:
    """Pending values by (group, key), counted until the unit that wrote them is settled."""

    __slots__ = ("_cleared", "_groups", "_keys")

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], list[Any]] = {}
        self._groups: dict[str, int] = {}
        self._cleared: dict[str, int] = {}

    def add(self, operations: Sequence[Operation]) -> None:
        """Note the operations of a submitted unit."""
        for op in operations:
            if type(op) not in _OF_STATE:
                continue
            if isinstance(op, StateSet):
                certain = op.expect is None and op.expires_at is None
                self._put(op.group, op.key, op.value if certain else UNKNOWN)
            elif isinstance(op, StateDelete):
                self._put(op.group, op.key, None)
            elif isinstance(op, StateUpdate):
                self._put(op.group, op.key, UNKNOWN)
            elif isinstance(op, StateClear):
                self._cleared[op.group] = self._cleared.get(op.group, 0) + 1
                self._groups[op.group] = self._groups.get(op.group, 0) + 1

    def settle(self, operations: Sequence[Operation]) -> None:
        """Forget the operations of a unit that was committed or refused."""
        for op in operations:
            if type(op) not in _OF_STATE:
                continue
            if isinstance(op, StateSet | StateDelete | StateUpdate):
                key = (op.group, op.key)
                entry = self._keys[key]
                if entry[1] == 1:
                    del self._keys[key]
                else:
                    entry[1] -= 1
                self._less(self._groups, op.group)
            elif isinstance(op, StateClear):
                self._less(self._cleared, op.group)
                self._less(self._groups, op.group)

    def get(self, group: str, key: str) -> tuple[Payload | None] | object | None:
        """A 1-tuple with the pending value, UNKNOWN, or None when nothing is pending."""
        entry = self._keys.get((group, key))
        if entry is None:
            return UNKNOWN if group in self._cleared else None
        if entry[0] is UNKNOWN or group in self._cleared:
            return UNKNOWN
        return (entry[0],)

    def touches(self, group: str) -> bool:
        """Whether any change of this group is pending."""
        return group in self._groups

    @property
    def empty(self) -> bool:
        """Whether nothing is pending."""
        return not self._groups

    def _put(self, group: str, key: str, value: Any) -> None:
        entry = self._keys.get((group, key))
        if entry is None:
            self._keys[(group, key)] = [value, 1]
        else:
            entry[0] = value
            entry[1] += 1
        self._groups[group] = self._groups.get(group, 0) + 1

    @staticmethod
    def _less(counts: dict[str, int], name: str) -> None:
        left = counts[name] - 1
        if left:
            counts[name] = left
        else:
            del counts[name]
