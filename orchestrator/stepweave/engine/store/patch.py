"""In-place changes of a JSON value: set, merge, increment, append, remove at a path."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stepweave import payload
from stepweave.errors import InvalidInput

__all__ = ["OPERATIONS", "apply"]

OPERATIONS = ("set", "merge", "increment", "append", "remove")


def apply(current: payload.Payload | None, ops: Sequence[Mapping[str, Any]]) -> payload.Payload:
    """The value after all operations, applied in order to the current one (None: absent).

    Each is {op, path: [key or index, …], value: payload}. Missing maps on the way are made.
    Raises InvalidInput naming the operation and the path that does not fit the value.
    """
    value = payload.decode(current)
    for op in ops:
        value = _apply(value, op)
    return payload.encode(value)


def _apply(value: Any, op: Mapping[str, Any]) -> Any:
    name, path = op.get("op"), op.get("path") or ()
    if name not in OPERATIONS:
        raise InvalidInput(f"an update knows {', '.join(OPERATIONS)}, not {name!r}")
    if not isinstance(path, list | tuple) or not all(type(part) in (str, int) for part in path):
        raise InvalidInput(f"the path of an update is a list of keys and indexes, not {path!r}")
    operand = payload.decode(payload.check(op.get("value")))
    if not path:
        if name == "remove":
            return None
        return _changed(name, value, operand, "the value")
    holder = value = {} if value is None else value
    for part in path[:-1]:
        holder = _step_into(holder, part, path)
    last = path[-1]
    where = ".".join(str(part) for part in path)
    if name == "remove":
        _remove(holder, last)
    elif isinstance(holder, dict):
        holder[str(last)] = _changed(name, holder.get(str(last)), operand, where)
    elif isinstance(holder, list) and isinstance(last, int) and -len(holder) <= last <= len(holder):
        if last == len(holder):
            holder.append(None)
        holder[last] = _changed(name, holder[last], operand, where)
    else:
        raise InvalidInput(f"{where}: there is no place for it in a {_kind(holder)}")
    return value


def _changed(name: str, old: Any, operand: Any, where: str) -> Any:
    if name == "set":
        return operand
    if name == "merge":
        if not isinstance(operand, dict) or not (old is None or isinstance(old, dict)):
            kinds = f"{_kind(old)} and {_kind(operand)}"
            raise InvalidInput(f"{where}: merge joins two objects, not {kinds}")
        return {**(old or {}), **operand}
    if name == "increment":
        by = 1 if operand is None else operand
        if not _number(by) or not (old is None or _number(old)):
            raise InvalidInput(f"{where}: increment adds numbers, not {_kind(by)} to {_kind(old)}")
        total = (old or 0) + by
        if isinstance(total, float) and not math.isfinite(total):
            raise InvalidInput(f"{where}: the sum is larger than a number can be")
        return total
    if not (old is None or isinstance(old, list)):
        raise InvalidInput(f"{where}: append needs a list, not {_kind(old)}")
    return [*(old or []), operand]


def _step_into(holder: Any, part: str | int, path: Sequence[str | int]) -> Any:
    if isinstance(holder, dict):
        key = str(part)
        if holder.get(key) is None:
            holder[key] = {}
        return holder[key]
    if isinstance(holder, list) and isinstance(part, int) and -len(holder) <= part < len(holder):
        return holder[part]
    where = ".".join(str(piece) for piece in path)
    raise InvalidInput(f"{where}: {part!r} leads nowhere in a {_kind(holder)}")


def _remove(holder: Any, last: str | int) -> None:
    if isinstance(holder, dict):
        holder.pop(str(last), None)
    elif isinstance(holder, list) and isinstance(last, int) and -len(holder) <= last < len(holder):
        del holder[last]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "text", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number" if _number(value) else type(value).__name__)
