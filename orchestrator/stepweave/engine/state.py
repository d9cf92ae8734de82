"""State as handlers use it: store operations in the name of a call, noted in its span."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from stepweave import payload
from stepweave.calls import Call, now_ms
from stepweave.engine.store.contract import Store
from stepweave.engine.store.operations import StateClear, StateDelete, StateSet, StateUpdate
from stepweave.errors import StepweaveError
from stepweave.payload import Payload

__all__ = ["State"]

Done = Callable[[StepweaveError | None, Any], None]


class State:
    """Groups of keys with JSON or byte values, durable when `done` is called.

    A read makes the call's answer depend on what it may have seen, as a write does: both move
    `call.wrote`, and the HTTP edge waits until that much is on disk.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, call: Call, group: str, key: str, done: Done) -> None:
        """`done` gets the value or None."""
        call.span.add("state", "get", group, key, 0)
        store = call.transaction or self._store
        call.wrote = store.last_sequence
        store.state_get(group, key, done)

    def set(
        self,
        call: Call,
        group: str,
        key: str,
        value: Payload,
        *,
        ttl_ms: int | None,
        expect: tuple[Payload | None] | None,
        done: Done,
    ) -> None:
        """Write a value, for `ttl_ms` milliseconds, if it is as expected (else Conflict)."""
        call.span.add("state", "set", group, key, payload.size(value))
        expires_at = None if ttl_ms is None else now_ms() + ttl_ms
        op = StateSet(group, key, value, expires_at, expect)
        call.wrote = (call.transaction or self._store).submit(
            (op,), lambda error, _results: done(error, None)
        )

    def delete(self, call: Call, group: str, key: str, done: Done) -> None:
        """`done` gets what was there."""
        call.span.add("state", "delete", group, key, 0)
        call.wrote = (call.transaction or self._store).submit(
            (StateDelete(group, key),), _first(done)
        )

    def list(
        self, call: Call, group: str, done: Done, *, after: str | None, limit: int | None
    ) -> None:
        """`done` gets [(key, value), …] by key: all, or `limit` of those after `after`."""
        call.span.add("state", "getGroup", group, "", 0)
        store = call.transaction or self._store
        call.wrote = store.last_sequence
        store.state_list(group, done, after, limit)

    def clear(self, call: Call, group: str, done: Done) -> None:
        """`done` gets how many values were removed."""
        call.span.add("state", "clear", group, "", 0)
        call.wrote = (call.transaction or self._store).submit((StateClear(group),), _first(done))

    def update(
        self,
        call: Call,
        group: str,
        key: str,
        ops: builtins.list[dict[str, Any]],
        *,
        expect: tuple[Payload | None] | None,
        done: Done,
    ) -> None:
        """Change a value in place, atomically; `done` gets the new one."""
        call.span.add("state", "update", group, key, len(ops))
        op = StateUpdate(group, key, ops, expect)
        call.wrote = (call.transaction or self._store).submit((op,), _first(done))

    def groups(self, call: Call, done: Done) -> None:
        """`done` gets the names of all groups that hold a value."""
        store = call.transaction or self._store
        call.wrote = store.last_sequence
        store.state_groups(done)


def _first(done: Done) -> Callable[[StepweaveError | None, Any], None]:
    """A callback for a unit of one operation."""
    return lambda error, results: done(error, None if error is not None else results[0])
