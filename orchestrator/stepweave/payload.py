"""User data as it travels: a format name and bytes, decoded only to validate or to show."""

from __future__ import annotations

import base64
from typing import Any

import msgpack
import orjson

from stepweave.errors import InvalidInput

__all__ = ["FORMATS", "NULL", "Payload", "as_json", "check", "decode", "encode", "preview", "size"]

Payload = tuple[str, bytes]
"""(format, bytes); the format is one of FORMATS. `None` beside it means no value at all."""

FORMATS = frozenset({"json", "msgpack", "text", "bytes"})
NULL: Payload = ("json", b"null")


def encode(value: Any) -> Payload:
    """The payload of a Python value: JSON unless it holds bytes.

    Raises InvalidInput when the value has no JSON or msgpack form.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return ("bytes", bytes(value))
    try:
        return ("json", orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except TypeError:
        pass
    try:
        return ("msgpack", msgpack.packb(value, datetime=False))
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"the value cannot be sent: {error}") from error


def decode(payload: Payload | None) -> Any:
    """The Python value of a payload; None for no payload.

    Raises InvalidInput when the bytes are not what the format says.
    """
    if payload is None:
        return None
    kind, data = payload
    try:
        if kind == "json":
            return orjson.loads(data)
        if kind == "msgpack":
            return msgpack.unpackb(data, strict_map_key=False)
        if kind == "text":
            return data.decode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"a {kind} payload of {len(data)} bytes cannot be read: {error}"
        ) from error
    return data


def check(value: Any) -> Payload | None:
    """The payload that a runner sent, with its form proved: None or (format, bytes).

    Raises InvalidInput for anything else, so a broken runner cannot put it into the store.
    """
    if value is None:
        return None
    if (
        type(value) in (tuple, list)
        and len(value) == 2
        and type(value[0]) is str
        and value[0] in FORMATS
        and type(value[1]) is bytes
    ):
        return value  # type: ignore[no-any-return]
    raise InvalidInput(f"a payload is nil or [format, bytes], not {_brief(value)}")


def as_json(payload: Payload) -> bytes:
    """The payload as JSON bytes; bytes inside become base64 texts.

    Raises InvalidInput when it cannot be read, or has keys or a depth that JSON has not.
    """
    if payload[0] == "json":
        return payload[1]
    try:
        return orjson.dumps(decode(payload), default=_base64, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise InvalidInput(f"the value has no JSON form: {error}") from error


def size(payload: Payload | None) -> int:
    """Bytes of user data in the payload."""
    return 0 if payload is None else len(payload[1])


def preview(payload: Payload | None, limit: int) -> str | None:
    """The start of a payload as text for people, at most `limit` bytes of it.

    Raises InvalidInput for a msgpack payload that cannot be read.
    """
    if payload is None:
        return None
    kind, data = payload
    if kind == "msgpack":
        data = as_json(payload)
    elif kind == "bytes":
        return f"{len(data)} bytes: {data[: limit // 2].hex()}"
    text = data[:limit].decode(errors="replace")
    return text if len(data) <= limit else f"{text}… ({len(data)} bytes)"


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
