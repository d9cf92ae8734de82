"""Frames: a big-endian u32 length, then one msgpack value (SPEC 2). Bytes in, values out."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from stepweave_runner.errors import ProtocolError

__all__ = ["MAX_FRAME", "Decoder", "Oversized", "frame", "show"]

MAX_FRAME = 16 * 1024 * 1024
"""Longest value in bytes that either side takes before the handshake says otherwise."""

_length = struct.Struct(">I").unpack_from
_HEAD = 16
_COPY_UP_TO = 1 << 16


class Oversized(NamedTuple):
    """Stands for a frame that was skipped: its size, and its id if it is a request."""

    size: int
    request: int | None


def frame(body: bytes) -> bytes:
    """The frame around the bytes of a value."""
    return len(body).to_bytes(4, "big") + body


def show(data: Any, limit: int = 200) -> str:
    """A frame or its bytes as one short line for people."""
    text = repr(data)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


class Decoder:
    """Turns chunks of bytes into values, keeping what is incomplete."""

    __slots__ = ("_need", "_parts", "_size", "_skip", "_skipped", "_unpack", "max_frame")

    def __init__(self, unpack: Callable[[Any], Any], max_frame: int = MAX_FRAME) -> None:
        self.max_frame = max_frame
        self._unpack = unpack
        self._parts: list[bytes] = []
        self._size = 0
        self._need = 0
        self._skip = 0
        self._skipped: Oversized | None = None

    def feed(self, data: bytes) -> list[Any]:
        """The values that `data` completes, an Oversized in place of each that was too long.

        Raises ProtocolError for a frame that does not hold one msgpack value.
        """
        values: list[Any] = []
        if self._skip:
            data = self._pass_over(data, values)
        if self._parts:
            self._parts.append(data)
            self._size += len(data)
            if self._size < self._need:
                return values
            data = b"".join(self._parts)
            self._parts = []
        at, end, need = 0, len(data), 4
        unpack, longest = self._unpack, self.max_frame
        while end - at >= 4:
            start = at + 4
            (size,) = _length(data, at)
            if size > longest:
                if end - start < min(_HEAD, size):
                    need = 4 + min(_HEAD, size)
                    break
                self._skip, self._skipped = size, Oversized(size, _request_id(data[start:end]))
                data = self._pass_over(data[start:], values)
                at, end = 0, len(data)
                continue
            stop = start + size
            if stop > end:
                need = 4 + size
                break
            body = data[start:stop] if size < _COPY_UP_TO else memoryview(data)[start:stop]
            try:
                values.append(unpack(body))
            except Exception as error:
                raise ProtocolError(
                    f"a frame of {size} bytes is not one msgpack value ({error})",
                    show(bytes(body[:64])),
                ) from error
            at = stop
        if at < end:
            self._parts = [data[at:] if at else data]
            self._size = end - at
            self._need = need
        return values

    def _pass_over(self, data: bytes, values: list[Any]) -> bytes:
        """Skip what is left of a long frame; the rest of `data` begins the next one."""
        taken = min(self._skip, len(data))
        self._skip -= taken
        if not self._skip:
            values.append(self._skipped)
        return data[taken:]


def _request_id(head: bytes) -> int | None:
    """The id of a request from the first bytes of its frame, in any encoding of an integer."""
    if head[:2] != b"\x94\x00":
        return None
    tag = head[2]
    if tag < 0x80:
        return tag
    if 0xCC <= tag <= 0xCF:
        return int.from_bytes(head[3 : 3 + (1 << tag - 0xCC)], "big")
    return None
