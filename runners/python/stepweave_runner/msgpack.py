"""msgpack in pure Python, as far as frames need it (SPEC 2.2): for who has no library.

It writes the same bytes as the library and reads every encoding of the types it knows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

__all__ = ["packb", "unpackb"]

_FLOAT = struct.Struct(">Bd").pack
_BYTES = (bytes, bytearray, memoryview)
# Lengths and integers: tag byte, then 1, 2, 4 or 8 bytes big-endian.
_PACK = {size: struct.Struct(">B" + kind).pack for size, kind in zip((1, 2, 4, 8), "BHIQ")}
_SIGNED = {size: struct.Struct(">B" + kind).pack for size, kind in zip((1, 2, 4, 8), "bhiq")}


def packb(value: Any) -> bytes:
    """The bytes of a value.

    Raises TypeError for what has no msgpack form, OverflowError for an integer over 64 bits.
    """
    parts: list[bytes] = []
    _pack(value, parts.append)
    return b"".join(parts)


def _pack(value: Any, add: Callable[[bytes], None]) -> None:
    kind = type(value)
    if kind is str:
        data = value.encode()
        size = len(data)
        add((bytes((0xA0 | size,)) if size < 32 else _length(size, 0xD9, 0xDA, 0xDB)) + data)
    elif kind is int:
        if 0 <= value < 128:
            add(bytes((value,)))
        else:
            add(_integer(value))
    elif kind is bytes:
        add(_length(len(value), 0xC4, 0xC5, 0xC6))
        add(value)
    elif value is None:
        add(b"\xc0")
    elif kind is bool:
        add(b"\xc3" if value else b"\xc2")
    elif kind is dict:
        size = len(value)
        add(bytes((0x80 | size,)) if size < 16 else _length(size, 0, 0xDE, 0xDF))
        for key, item in value.items():
            _pack(key, add)
            _pack(item, add)
    elif kind is list or kind is tuple:
        size = len(value)
        add(bytes((0x90 | size,)) if size < 16 else _length(size, 0, 0xDC, 0xDD))
        for item in value:
            _pack(item, add)
    elif kind is float:
        add(_FLOAT(0xCB, value))
    else:
        _pack(_plain(value), add)


def _plain(value: Any) -> Any:
    """The value as one of the types that _pack knows, for instances of their subclasses."""
    kinds: tuple[Any, ...] = (str, int, float, dict, list, tuple)
    for kind in kinds:
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, _BYTES):
        return bytes(value)
    raise TypeError(f"{type(value).__name__} has no msgpack form")


def _length(size: int, short: int, medium: int, long: int) -> bytes:
    if size < 256 and short:
        return bytes((short, size))
    return _PACK[2](medium, size) if size < 65536 else _PACK[4](long, size)


def _integer(value: int) -> bytes:
    if value >= 0:
        for tag, size in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)):
            if value < 1 << 8 * size:
                return _PACK[size](tag, value)
    elif value >= -32:
        return bytes((256 + value,))
    else:
        for tag, size in ((0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)):
            if value >= -1 << 8 * size - 1:
                return _SIGNED[size](tag, value)
    raise OverflowError("an integer over 64 bits has no msgpack form")


def unpackb(data: Any) -> Any:
    """The one value in `data`. Raises ValueError if there is none, less, or more."""
    data = bytes(data)
    try:
        value, end = _unpack(data, 0)
    except (IndexError, struct.error):
        raise ValueError(f"{len(data)} bytes end within a value") from None
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes follow the value")
    return value


def _unpack(data: bytes, at: int) -> tuple[Any, int]:
    tag = data[at]
    at += 1
    if tag < 0x80:
        return tag, at
    if tag < 0x90:
        return _map(data, at, tag & 15)
    if tag < 0xA0:
        return _array(data, at, tag & 15)
    if tag < 0xC0:
        return _text(data, at, tag & 31)
    if tag >= 0xE0:
        return tag - 256, at
    if tag < 0xC4:
        if tag == 0xC1:
            raise ValueError("byte c1 begins no value")
        return (None, None, False, True)[tag - 0xC0], at
    reader, size, signed = _READERS.get(tag, (None, 0, False))
    if reader is None:
        raise ValueError(f"byte {tag:x} begins an extension type")
    end = at + size
    if end > len(data):
        raise IndexError
    if reader is _float:
        return _float(data[at:end]), end
    number = int.from_bytes(data[at:end], "big", signed=signed)
    return (number, end) if reader is _number else reader(data, end, number)


def _float(data: bytes) -> float:
    value: float = struct.unpack(">f" if len(data) == 4 else ">d", data)[0]
    return value


def _number(data: bytes, at: int, number: int) -> tuple[int, int]:
    return number, at


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    raw, end = _binary(data, at, size)
    return raw.decode(), end


def _binary(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    end = at + size
    if end > len(data):
        raise IndexError
    return data[at:end], end


def _array(data: bytes, at: int, size: int) -> tuple[list[Any], int]:
    if size > len(data) - at:
        raise IndexError
    items = []
    for _ in range(size):
        item, at = _unpack(data, at)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, size: int) -> tuple[dict[Any, Any], int]:
    if size > len(data) - at:
        raise IndexError
    items = {}
    for _ in range(size):
        key, at = _unpack(data, at)
        items[key], at = _unpack(data, at)
    return items, at


# Tag to (reader, bytes of the number that follows, whether it is signed).
_READERS: dict[int, tuple[Any, int, bool]] = {
    **{0xC4 + n: (_binary, 1 << n, False) for n in range(3)},
    **{0xCA + n: (_float, 4 << n, False) for n in range(2)},
    **{0xCC + n: (_number, 1 << n, False) for n in range(4)},
    **{0xD0 + n: (_number, 1 << n, True) for n in range(4)},
    **{0xD9 + n: (_text, 1 << n, False) for n in range(3)},
    **{0xDC + n: (_array, 2 << n, False) for n in range(2)},
    **{0xDE + n: (_map, 2 << n, False) for n in range(2)},
}
