"""State writes that are on their way to the file, so that a handler reads its own writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stepweave.engine.store.contract import Operation, StateClear, StateDelete, StateSet, StateUpdate
from stepweave.payload import Payload

__all__ = ["UNKNOWN", "Overlay"]

UNKNOWN: Final = object()
"""The value of a key whose pending change is only known once it is applied."""


class Overlay:
    """Pending values by (group, key), counted until the unit that wrote them is settled."""

    __slots__ = ("_cleared", "_groups", "_keys")

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], list[Any]] = {}
        self._groups: dict[str, int] = {}
        self._cleared: dict[str, int] = {}

    def add(self, operations: Sequence[Operation]) -> bool:
        """Note the operations of a submitted unit; whether any of them concerns state."""
        found = False
        for op in operations:
            kind = type(op)
            if kind is StateSet:
                value = op.value if op.expect is None and op.expires_at is None else UNKNOWN  # type: ignore[union-attr]
                self._put(op.group, op.key, value)  # type: ignore[union-attr, arg-type]
            elif kind is StateDelete:
                self._put(op.group, op.key, None)  # type: ignore[union-attr, arg-type]
            elif kind is StateUpdate:
                self._put(op.group, op.key, UNKNOWN)  # type: ignore[union-attr, arg-type]
            elif kind is StateClear:
                group: str = op.group  # type: ignore[union-attr, assignment]
                self._cleared[group] = self._cleared.get(group, 0) + 1
                self._groups[group] = self._groups.get(group, 0) + 1
            else:
                continue
            found = True
        return found

    def settle(self, operations: Sequence[Operation]) -> None:
        """Forget the operations of a unit that was committed or refused."""
        for op in operations:
            kind = type(op)
            if kind is StateSet or kind is StateDelete or kind is StateUpdate:
                key: tuple[str, str] = (op.group, op.key)  # type: ignore[union-attr, assignment]
                entry = self._keys[key]
                if entry[1] == 1:
                    del self._keys[key]
                else:
                    entry[1] -= 1
                self._less(self._groups, key[0])
            elif kind is StateClear:
                self._less(self._cleared, op.group)  # type: ignore[union-attr, arg-type]
                self._less(self._groups, op.group)  # type: ignore[union-attr, arg-type]

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
