"""State as people look through it: groups with counts, pages of keys, single values."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable
from typing import Any

from stepweave.calls import now_ms
from stepweave.engine.desk import show
from stepweave.engine.desk.asking import ask
from stepweave.engine.store.contract import StateRow, Store
from stepweave.engine.store.operations import StateClear, StateDelete, StateSet
from stepweave.errors import Conflict
from stepweave.payload import Payload

__all__ = ["Browser"]

_WHOLE = 16_384
"""Bytes up to which a listing holds a value as it is."""

_NONE = "none"
"""The version of what is not there."""


class Browser:
    """What `stepweave state` and the JSON API do; a change returns once it is on disk."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def groups(self, limit: int, after: str | None = None) -> list[dict[str, Any]]:
        """Groups by name, each with how many values it holds and their bytes."""
        found = await self._store.state_counts(after, limit)
        return [{"group": each.name, "count": each.keys, "size": each.size} for each in found]

    async def page(self, group: str, limit: int, after: str | None = None) -> list[dict[str, Any]]:
        """Values by key. A long one is None, with its first part as text under "start"."""
        rows = await self._store.state_page(group, after, limit, _WHOLE)
        return [_row(row) for row in rows]

    async def get(self, group: str, key: str) -> dict[str, Any] | None:
        """One value, whole, with its version; None if there is none."""
        value = await self.value(group, key)
        if value is None:
            return None
        return {"key": key, **show.whole(value, "value"), "version": _version(value)}

    async def set(
        self,
        group: str,
        key: str,
        value: Payload,
        *,
        ttl_s: float | None = None,
        version: str | None = None,
    ) -> str:
        """Write a value, which leaves after `ttl_s`; returns its version.

        With `version` it replaces that version alone, or none at all where it is "none", and
        raises Conflict otherwise.
        """
        expect = None
        if version is not None:
            found = await self.value(group, key)
            if version != _version(found):
                there = "has another value by now" if found is not None else "is not there"
                if version == _NONE:
                    there = "is there already"
                raise Conflict(f'"{key}" of "{group}" {there}; it was left as it is')
            expect = (found,)
        until = None if ttl_s is None else now_ms() + int(ttl_s * 1000)
        await self._durable(self._store.apply((StateSet(group, key, value, until, expect),)))
        return _version(value)

    async def delete(self, group: str, key: str) -> bool:
        """Remove a value; whether there was one."""
        (gone,) = await self._durable(self._store.apply((StateDelete(group, key),)))
        return gone is not None

    async def clear(self, group: str) -> int:
        """Remove a group; how many values it held."""
        (count,) = await self._durable(self._store.apply((StateClear(group),)))
        return int(count)

    async def value(self, group: str, key: str) -> Payload | None:
        """One value as it is stored."""
        found: Payload | None = await ask(lambda done: self._store.state_get(group, key, done))
        return found

    async def _durable(self, work: Awaitable[list[Any]]) -> list[Any]:
        results = await work
        await self._store.sync(self._store.last_sequence)
        return results


def _row(row: StateRow) -> dict[str, Any]:
    times = {"updated_at": row.updated_at, "expires_at": row.expires_at}
    if len(row.value[1]) == row.size:
        return {"key": row.key, **show.whole(row.value, "value"), **times}
    head = {"key": row.key, "value": None, "type": show.kind(row.value), "size": row.size}
    text = row.value[1][:1024]
    start = text.hex() if row.value[0] in ("bytes", "msgpack") else text.decode(errors="replace")
    return {**head, "start": start, **times}


def _version(value: Payload | None) -> str:
    """What tells one value from another."""
    if value is None:
        return _NONE
    return hashlib.blake2b(value[1], digest_size=8, person=value[0].encode()).hexdigest()
