"""Request bodies that were packed for the way: gzip and deflate, never larger than allowed."""

from __future__ import annotations

import zlib

from stepweave.errors import InvalidInput, TooLarge, Unsupported

__all__ = ["ACCEPTED", "unpacked"]

ACCEPTED = b"gzip, deflate"
"""What `unpacked` reads, as an Accept-Encoding header says it."""

_GZIP = 31
_ZLIB = 15
_RAW = -15


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before it was packed.

    Raises TooLarge when that has over `limit` bytes, which is noticed before more are made;
    InvalidInput when it cannot be unpacked, Unsupported for another encoding.
    """
    name = encoding.strip().lower()
    if name in ("", "identity") or not body:
        return body
    if name in ("gzip", "x-gzip"):
        return _inflate(body, _GZIP, name, limit)
    if name == "deflate":
        # Meant is zlib's form, but some clients send the bare stream.
        is_zlib = body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        return _inflate(body, _ZLIB if is_zlib else _RAW, name, limit)
    raise Unsupported(f"a body in content-encoding {name:.40} is not read; gzip and deflate are")


def _inflate(body: bytes, window: int, name: str, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while body:
        packer = zlib.decompressobj(window)
        try:
            part = packer.decompress(body, left + 1)
        except zlib.error as error:
            raise InvalidInput(f"the body is not {name}: {error}") from error
        if len(part) > left:
            raise TooLarge(f"the unpacked body is over the limit of {limit} bytes")
        if not packer.eof:
            raise InvalidInput(f"the body is not {name}: it is cut off")
        parts.append(part)
        left -= len(part)
        # What follows may be another gzip member; of the other forms there is only one.
        body = packer.unused_data.lstrip(b"\0") if window == _GZIP else b""
    return parts[0] if len(parts) == 1 else b"".join(parts)
