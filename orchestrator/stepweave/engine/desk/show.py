"""Stored data as JSON for people: decoded, or its first part and why not all of it."""

from __future__ import annotations

from typing import Any

import orjson

from stepweave import payload
from stepweave.errors import InvalidInput
from stepweave.payload import Payload

__all__ = ["kind", "start", "whole"]

_JSON_KINDS = {
    b"{": "object", b"[": "array", b'"': "string", b"t": "boolean", b"f": "boolean", b"n": "null",
}  # fmt: skip


def whole(data: Payload | None, name: str) -> dict[str, Any]:
    """`{name: value, "type": …, "size": …}`; bytes are base64 text.

    The value is a fragment for orjson, so that numbers stay as they were written. Data that
    cannot be read is None, with the reason under "problem".
    """
    about: dict[str, Any] = {"type": kind(data), "size": payload.size(data)}
    if data is None:
        return {name: None, **about}
    try:
        text = payload.as_json(data)
        orjson.loads(text)
    except (InvalidInput, ValueError) as error:
        return {name: None, **about, "problem": f"it cannot be shown: {error}"}
    return {name: orjson.Fragment(text), **about}


def start(data: Payload | None, most: int, size: int | None = None) -> str | None:
    """The first `most` bytes as text. With `size` only the start of so many bytes is here."""
    if data is not None and size is not None and len(data[1]) < size:
        kind, first = data
        if kind in ("bytes", "msgpack"):
            return f"{size} bytes: {first[: most // 2].hex()}"
        return f"{first[:most].decode(errors='replace')}… ({size} bytes)"
    try:
        return payload.preview(data, most)
    except InvalidInput as error:
        return f"it cannot be shown: {error}"


def kind(data: Payload | None) -> str:
    """object, array, string, number, boolean, null, bytes; "none" for no data at all.

    The first bytes of the data are enough.
    """
    if data is None:
        return "none"
    form, content = data
    if form == "json":
        return _JSON_KINDS.get(content.lstrip()[:1], "number")
    if form == "msgpack":
        first = content[0] if content else 0
        return "array" if 0x90 <= first <= 0x9F or first in (0xDC, 0xDD) else "object"
    return "string" if form == "text" else form
