"""Compare-and-set: whether what is there is what was expected."""

from __future__ import annotations

from stepweave import payload
from stepweave.errors import Conflict
from stepweave.payload import Payload

__all__ = ["require"]


def require(
    current: Payload | None, expect: tuple[Payload | None] | None, group: str, key: str
) -> None:
    """Raise Conflict unless the value is the expected one, compared as data.

    `expect` is a 1-tuple (None inside: absent); None expects nothing.
    """
    if expect is None:
        return
    (wanted,) = expect
    same = current is wanted is None or (
        current is not None
        and wanted is not None
        and (current == wanted or payload.decode(current) == payload.decode(wanted))
    )
    if not same:
        raise Conflict(f'state "{group}" "{key}" holds another value than expected')
