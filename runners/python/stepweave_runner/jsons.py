"""JSON text to and from plain values: orjson where the user has it, else the stdlib."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

__all__ = ["PlainOnly", "dumps", "dumps_plain", "loads"]

orjson: Any
try:
    import orjson
except ImportError:
    orjson = None


class PlainOnly(TypeError):
    """The value holds something that `dumps` cannot write as it is."""


# NaN raises here; the cleaning that follows makes it null.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

_LEAVES = frozenset({str, bool, type(None)})
_MOST_INT = (1 << 64) - 1
_LEAST_INT = -(1 << 63)


def dumps(value: Any, default: Callable[[Any], Any]) -> bytes:
    """The JSON of a value, fast. `default` makes other types plain, where the library asks it.

    Raises PlainOnly when the value first has to be cleaned by `values.clean`: what comes out of
    here is always what cleaning and then writing would give.
    """
    if orjson is not None:
        try:
            written: bytes = orjson.dumps(value, default, orjson.OPT_PASSTHROUGH_DATACLASS)
        except TypeError as error:
            raise PlainOnly from error
        return written
    # The stdlib's encoder writes some types, such as named tuples, in forms of its own.
    if not _is_plain(value):
        raise PlainOnly
    try:
        return _encode(value).encode()
    except ValueError as error:
        raise PlainOnly from error


def dumps_plain(value: Any) -> bytes:
    """The JSON of a cleaned value."""
    return _encode(value).encode()


def loads(data: bytes) -> Any:
    """The value of a JSON text. Raises ValueError when it is none."""
    if orjson is not None:
        try:
            return orjson.loads(data)
        except ValueError:
            pass  # the stdlib takes half surrogates and has better words for the rest
    return json.loads(data.decode(), parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_plain(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if kind is dict:
        if depth > 100:
            return False
        for key, item in value.items():
            if type(key) is not str:
                return False
            if type(item) not in _LEAVES and not _is_plain(item, depth + 1):
                return False
        return True
    if kind is list:
        if depth > 100:
            return False
        for item in value:
            if type(item) not in _LEAVES and not _is_plain(item, depth + 1):
                return False
        return True
    if kind is int:
        return bool(_LEAST_INT <= value <= _MOST_INT)
    return kind in _LEAVES or kind is float
