"""Payloads: native values to [format, bytes] and back, by the value rules of SPEC 4."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import fractions
import inspect
import pathlib
import types
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Set, ValuesView
from typing import Any

from stepweave_runner import errors, jsons
from stepweave_runner.codec import codec

__all__ = ["Payload", "clean", "decode", "encode", "encode_json", "simplify"]

Payload = list[Any]
"""[format, bytes]"""

loads = jsons.loads
_BYTES = (bytes, bytearray, memoryview)
_TEXT = (decimal.Decimal, fractions.Fraction, uuid.UUID, pathlib.PurePath, complex)
_LISTS = (list, tuple, Set, deque, range, ValuesView)
_CODE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type, types.ModuleType)
_MOST_INT = (1 << 64) - 1
_LEAST_INT = -(1 << 63)


class _Nothing(Exception):
    """The value is left out of maps and null in lists, as functions are."""


def encode(value: Any) -> Payload:
    """The payload of a value: bytes, msgpack if bytes are inside, else json.

    Raises InvalidPayload, naming the path, for what contains itself or has no form.
    """
    if isinstance(value, _BYTES):
        return ["bytes", bytes(value)]
    try:
        return ["json", jsons.dumps(value, _fast_form)]
    except jsons.PlainOnly:
        pass
    found: list[bytes] = []

    def keep(data: bytes) -> bytes:
        found.append(data)
        return data

    cleaned = clean(value, keep)
    if found:
        return ["msgpack", codec.pack(cleaned)]
    return ["json", jsons.dumps_plain(cleaned)]


def encode_json(value: Any) -> Payload:
    """The json payload of a value whose bytes become base64 text (SPEC 4.7)."""
    try:
        return ["json", jsons.dumps(value, _fast_form)]
    except jsons.PlainOnly:
        return ["json", jsons.dumps_plain(clean(value, _base64))]


def decode(payload: Any) -> Any:
    """The value of a payload; None for no payload. Raises InvalidPayload."""
    if payload is None:
        return None
    try:
        form, data = payload
        if form == "json":
            return loads(data)
        if form == "msgpack":
            return codec.unpack(data)
        if form == "text":
            return data.decode()
        if form == "bytes":
            return data
    except (ValueError, TypeError, AttributeError) as error:
        raise errors.InvalidPayload(f"the payload cannot be read: {error}") from error
    raise errors.InvalidPayload(f"there is no payload format {form!r:.40}")


def clean(value: Any, keep_bytes: Callable[[bytes], Any]) -> Any:
    """The value as dicts, lists, text, numbers, booleans and None; bytes as `keep_bytes` gives.

    Raises InvalidPayload, naming the path, for what contains itself or has no form.
    """
    path: list[Any] = []
    try:
        return _clean(value, keep_bytes, path, set())
    except _Nothing:
        raise errors.InvalidPayload(f"a {type(value).__name__} is code, not a value") from None
    except RecursionError:
        raise errors.InvalidPayload(f"{_spell(path[:8])}… is nested too deeply") from None


def _clean(value: Any, keep_bytes: Callable[[bytes], Any], path: list[Any], open_: set[int]) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return _well_formed(value)
    if kind is int:
        return value if _LEAST_INT <= value <= _MOST_INT else str(value)
    if kind is float:
        return value if value - value == 0 else None
    if isinstance(value, _BYTES):
        return keep_bytes(bytes(value))
    mark = id(value)
    if mark in open_:
        raise errors.InvalidPayload(f"{_spell(path)} contains itself")
    open_.add(mark)
    try:
        if isinstance(value, dict):
            cleaned: Any = {}
            for key, item in value.items():
                path.append(key)
                try:
                    cleaned[_key(key)] = _clean(item, keep_bytes, path, open_)
                except _Nothing:
                    pass
                path.pop()
            return cleaned
        if kind is list or kind is tuple:
            cleaned = []
            for index, item in enumerate(value):
                path.append(index)
                try:
                    cleaned.append(_clean(item, keep_bytes, path, open_))
                except _Nothing:
                    cleaned.append(None)
                path.pop()
            return cleaned
        try:
            simpler = simplify(value)
        except (_Nothing, RecursionError, errors.InvalidPayload):
            raise
        except Exception as error:
            raise errors.InvalidPayload(
                f"{_spell(path)} is {_a(value)} that cannot be read: {errors.message_of(error)}"
            ) from error
        if simpler is value:
            raise errors.InvalidPayload(f"{_spell(path)} is {_why(value)}")
        return _clean(simpler, keep_bytes, path, open_)
    finally:
        open_.discard(mark)


def simplify(value: Any) -> Any:
    """One level simpler: a map, list, text, number or None. The value itself if it has no form."""
    if value is None or isinstance(value, bool):  # which is an int
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat() if value == value else None  # pandas' NaT is a datetime
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, _TEXT):
        return str(value)
    if isinstance(value, BaseException):
        return {
            "name": type(value).__name__,
            "message": errors.message_of(value),
            "stack": errors.stack(value),
        }
    if isinstance(value, _CODE):
        raise _Nothing
    if inspect.isawaitable(value):
        return value
    known = _record(value)
    if known is not None:
        return known
    if isinstance(value, Mapping):
        return dict(value.items())
    if isinstance(value, _LISTS):
        return list(value)
    return _library(value)


def _record(value: Any) -> dict[str, Any] | None:
    """The fields of a dataclass, named tuple, pydantic, msgspec or attrs object."""
    kind = type(value)
    if hasattr(kind, "__dataclass_fields__"):
        names = kind.__dataclass_fields__
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    for method, options in (("_asdict", {}), ("model_dump", {"by_alias": True})):
        if callable(getattr(kind, method, None)):
            return dict(getattr(value, method)(**options))
    if hasattr(kind, "__fields__") and callable(getattr(kind, "dict", None)):  # pydantic 1
        return dict(value.dict(by_alias=True))
    for names in ("__struct_fields__", "__attrs_attrs__"):
        fields = getattr(kind, names, None)
        if fields is not None:
            own = [field if isinstance(field, str) else field.name for field in fields]
            return {name: getattr(value, name) for name in own}
    return None


def _library(value: Any) -> Any:
    """Types of libraries, by what they offer: numpy, pandas, and objects with attributes."""
    kind = type(value)
    if kind.__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(kind, "to_dict"):
        is_table = getattr(value, "ndim", 0) == 2  # a list of rows; a pandas Series is a map
        return value.to_dict(orient="records") if is_table else value.to_dict()
    for method in ("tolist", "item", "toJSON", "__json__"):
        if callable(getattr(kind, method, None)):
            return getattr(value, method)()
    if kind.__module__ == "ipaddress":
        return str(value)
    is_resource = hasattr(kind, "__next__") or hasattr(kind, "__enter__")
    if hasattr(value, "__dict__") and not is_resource:
        return {name: item for name, item in vars(value).items() if not name.startswith("_")}
    return value


def _fast_form(value: Any) -> Any:
    """What orjson asks for types it does not know. TypeError sends the value to `clean`."""
    if isinstance(value, _BYTES):
        raise TypeError("bytes")
    try:
        simpler = simplify(value)
    except Exception as error:
        raise TypeError from error
    if simpler is value:
        raise TypeError(type(value).__name__)
    return simpler


def _key(key: Any) -> str:
    if type(key) is str:
        return _well_formed(key)
    if isinstance(key, (bool, type(None))):
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    if isinstance(key, enum.Enum):
        return _key(key.value)
    return key.isoformat() if isinstance(key, (datetime.date, datetime.time)) else str(key)


def _well_formed(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, which UTF-8 cannot hold."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _spell(path: list[Any]) -> str:
    """A path such as orders.0.lines; "the value" for the value itself."""
    return ".".join(str(part) for part in path) or "the value"


def _why(value: Any) -> str:
    if inspect.isawaitable(value):
        return f"{_a(value)}; is an `await` missing?"
    return f"{_a(value)}, which has no form as JSON"


def _a(value: Any) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
