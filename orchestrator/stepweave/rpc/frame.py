"""Frames: a big-endian u32 length, then one msgpack value (SPEC 2). No sockets here."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgpack

from stepweave.errors import ProtocolError

__all__ = ["MAX_FRAME", "Decoder", "Oversized", "pack", "show"]

MAX_FRAME = 16 * 1024 * 1024
"""The default limit of one frame in bytes; each side states its own in initialize."""

# How msgpack begins an array of 3 or 4 values, in all its lengths.
_ARRAYS = frozenset((0x93, 0x94, 0xDC, 0xDD))
_HEAD = 256

_packer = msgpack.Packer(autoreset=True)
_unpackb = msgpack.unpackb


class Oversized(NamedTuple):
    """Stands in a decoder's output for a frame that was skipped; `head` is its first bytes."""

    size: int
    head: bytes


def pack(value: Any) -> bytes:
    """The frame of a value, length included."""
    body: bytes = _packer.pack(value)
    return len(body).to_bytes(4, "big") + body


class Decoder:
    """Turns chunks of bytes into frame values, keeping what is incomplete."""

    __slots__ = ("_buffer", "_head", "_skip", "max_frame")

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self.max_frame = max_frame
        self._buffer = bytearray()
        self._skip = 0
        self._head = Oversized(0, b"")

    @property
    def astray(self) -> bytes:
        """The start of what is being skipped if that is no frame at all, such as printed text."""
        head = self._head.head
        if not self._skip or not head or head[0] in _ARRAYS:
            return b""
        return self._head.size.to_bytes(4, "big") + head

    def feed(self, data: bytes) -> list[Any]:
        """The values completed by `data`, in order.

        In place of a frame over the limit stands an Oversized, in place of one that holds no
        msgpack value a ProtocolError: the length is known, so what comes before and after it
        is not lost.
        """
        values: list[Any] = []
        if self._skip:
            if not self._head.head:
                self._head = self._head._replace(head=data[:_HEAD])
            taken = min(self._skip, len(data))
            self._skip -= taken
            if self._skip:
                return values
            values.append(self._head)
            data = data[taken:]
        buffered = bool(self._buffer)
        if buffered:
            self._buffer += data
            source: bytes | bytearray = self._buffer
        else:
            source = data
        offset, end = 0, len(source)
        view = memoryview(source)
        try:
            while end - offset >= 4:
                size = int.from_bytes(view[offset : offset + 4], "big")
                start = offset + 4
                if size > self.max_frame:
                    offset = self._begin_skip(view, start, end, size, values)
                    continue
                stop = start + size
                if stop > end:
                    break
                values.append(_value(view[start:stop]))
                offset = stop
        finally:
            view.release()
        if buffered:
            del self._buffer[:offset]
        elif offset < end:
            self._buffer += data[offset:] if offset else data
        return values

    def _begin_skip(
        self, view: memoryview, start: int, end: int, size: int, values: list[Any]
    ) -> int:
        head = Oversized(size, bytes(view[start : min(start + _HEAD, end)]))
        available = end - start
        if available >= size:
            values.append(head)
            return start + size
        self._head = head
        self._skip = size - available
        return end


def _value(body: memoryview) -> Any:
    try:
        return _unpackb(body, use_list=False)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        reason = str(error) or type(error).__name__
        return ProtocolError(
            f"a frame of {len(body)} bytes is not one msgpack value ({reason})",
            show(bytes(body[:64])),
        )


def show(value: Any, limit: int = 200) -> str:
    """A frame or its bytes as one short line for a log record."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
