"""Frames that were too large to be read: whoever waits for them is told instead."""

from __future__ import annotations

import contextlib

import msgpack

from stepweave.errors import ProtocolError
from stepweave.rpc import frame
from stepweave.rpc.peer import Peer

__all__ = ["refuse"]


def refuse(peer: Peer, item: frame.Oversized, limit: int) -> str:
    """Answer a frame over the limit (bytes) if its head tells the request or answer that it was.

    Returns what happened in words.
    """
    kind, request_id = _head(item.head)
    text = f"a frame of {item.size} bytes is over the limit of {limit}"
    if kind == 0 and request_id is not None:
        peer.refuse(request_id, "too_large", text)
    elif kind == 1 and request_id is not None:
        error = {"code": "too_large", "message": text}
        with contextlib.suppress(ProtocolError):
            peer.feed(frame.pack((1, request_id, error, None)))
    return text


def _head(head: bytes) -> tuple[int | None, int | None]:
    """The kind and id at the front of a frame, when they are there."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(head)
    try:
        unpacker.read_array_header()
        kind, request_id = unpacker.unpack(), unpacker.unpack()
    except (msgpack.exceptions.UnpackException, ValueError):
        return None, None
    return kind, request_id if isinstance(request_id, int) else None
