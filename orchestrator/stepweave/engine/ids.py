"""Event ids: 63-bit, ordered by time, unique among the orchestrators that share a store."""

from __future__ import annotations

import os
import time

from stepweave.errors import InvalidInput

__all__ = ["EventIds", "born_at", "read", "show"]

_EPOCH_MS = 1_700_000_000_000


class EventIds:
    """Milliseconds, then a number for this process, then a counter: grows with each call.

    The node number is random, so two orchestrators of a shared store that start in the same
    millisecond meet once in 1,024 cases, and only if they count alike; the store's primary
    key refuses the second of such a pair.
    """

    __slots__ = ("_last", "_node")

    def __init__(self, node: int | None = None, *, after: int = 0) -> None:
        """All ids will be larger than `after`, wherever the clock stands."""
        self._node = (int.from_bytes(os.urandom(2), "big") if node is None else node) & 0x3FF
        self._last = after

    def next(self) -> int:
        """A new id, larger than all before it even when the clock steps back."""
        now = (time.time_ns() // 1_000_000 - _EPOCH_MS) << 22 | self._node << 12
        last = self._last
        if now <= last:
            now = last + 1
        self._last = now
        return now


def born_at(id: int) -> int:
    """The Unix ms of an id, by the clock of its time."""
    return (id >> 22) + _EPOCH_MS


def show(id: int) -> str:
    """The form in which people and programs see an event id."""
    return f"{id:016x}"


def read(shown: str) -> int:
    """The id that `show` gave. Raises InvalidInput for anything else."""
    if len(shown) != 16 or set(shown) - set("0123456789abcdef") or shown >= "7fffffffffffffff":
        raise InvalidInput(f"{shown!r:.60} is no id of an event, which has 16 hexadecimal digits")
    return int(shown, 16)
