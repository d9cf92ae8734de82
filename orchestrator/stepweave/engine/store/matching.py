"""Compare-and-set: whether what is there is what was expected."""

from __future__ import annotations

from typing import Any

from stepweave import payload
from stepweave.errors import Conflict
from stepweave.payload import Payload

__all__ = ["require"]


def require(
    current: Payload | None, expect: tuple[Payload | None] | None, group: str, key: str
) -> None:
    """Raise Conflict unless the value is the expected one, compared as data.

    `expect` is a 1-tuple (None inside: absent); None expects nothing. What is absent and what is
    null are the same here, as a handler that reads them cannot tell them apart.
    """
    if expect is None:
        return
    (wanted,) = expect
    if current != wanted and not _same(payload.decode(current), payload.decode(wanted)):
        raise Conflict(f'state "{group}" "{key}" holds another value than expected')


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same as data: 1 is 1.0, but not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
