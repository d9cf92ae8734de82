"""Many events in one call: their data as one list, and those that the handler says failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepweave import payload
from stepweave.errors import InvalidInput
from stepweave.payload import Payload

__all__ = ["MOST_BYTES", "failed", "fitting", "join"]

MOST_BYTES = 4 * 1024 * 1024
"""The data of one batch; one event alone may have more."""


def fitting(sizes: Sequence[int]) -> int:
    """How many events from the front go into one batch, at least one."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > MOST_BYTES and count:
            return count
    return len(sizes)


def join(bodies: Sequence[Payload | None]) -> Payload:
    """The list of all data. JSON is put together as it is; no data is null."""
    parts = [payload.NULL if body is None else body for body in bodies]
    if all(kind == "json" for kind, _ in parts):
        return ("json", b"[" + b",".join(data for _, data in parts) + b"]")
    return payload.encode([payload.decode(part) for part in parts])


def failed(result: Any, count: int) -> set[int]:
    """The positions in `{"failed": [0, 3]}`, which a handler returns for those to try again.

    Empty for any other result. Raises InvalidInput when `failed` names something else.
    """
    if not (type(result) is tuple and len(result) == 2 and b'"failed"' in result[1]):
        return set()
    try:
        value = payload.decode(result)
    except InvalidInput:
        return set()
    if not isinstance(value, dict) or "failed" not in value:
        return set()
    named = value["failed"]
    if not isinstance(named, list) or not all(
        type(each) is int and 0 <= each < count for each in named
    ):
        raise InvalidInput(
            f"failed must list positions in the batch, from 0 to {count - 1}, not {named!r:.100}"
        )
    return set(named)
