"""Requests that offer to speak another protocol: what they must not have, and without the offer."""

from __future__ import annotations

__all__ = ["has_body", "left_out"]

Lines = list[tuple[bytes, bytes]]


def has_body(head: Lines) -> bool:
    """Whether a request says that a body follows."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 ") != b"")
        for name, value in head
    )


def left_out(first: bytes, head: Lines) -> bytes:
    """The head of a request without its offer to speak something else; empty if it has none.

    The parser takes what follows such a head for that other protocol. We speak HTTP/1.1 all the
    same, as the offer allows, so the request and its body are read again without it. `first` is
    the first line.
    """
    kept = [line for line in head if line[0] != b"upgrade"]
    if len(kept) == len(head):
        return b""
    return first + b"\r\n" + b"".join(b"%b: %b\r\n" % line for line in kept) + b"\r\n"
