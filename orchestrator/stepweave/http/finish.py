"""What becomes of a whole answer before it leaves: a 304 if it is known, fewer bytes if packed."""

from __future__ import annotations

import asyncio
import hashlib
import re
import zlib
from collections.abc import Mapping
from typing import Any

from stepweave.http.response import Head, Reply

__all__ = ["Finish"]

_LEVEL = 4
"""Of gzip: nearly as small as the usual 6 in little more than half of its time."""

_OWN_THREAD = 64 << 10
"""Bodies from this size on are packed beside the loop."""

# What a 304 says of the answer that it stands for.
_KEPT = frozenset(
    {b"cache-control", b"content-location", b"date", b"etag", b"expires", b"set-cookie", b"vary"}
)
_TYPES = frozenset(
    {
        b"application/graphql",
        b"application/javascript",
        b"application/json",
        b"application/ld+json",
        b"application/manifest+json",
        b"application/wasm",
        b"application/x-ndjson",
        b"application/xhtml+xml",
        b"application/xml",
        b"image/svg+xml",
    }
)


_QUOTED = re.compile(r'"[^"]*"')


class Finish:
    """Conditional answers and compression, as far as the project wants them.

    `pack_from` is the size in bytes from which answers are packed; None packs none.
    """

    def __init__(self, *, etag: bool, pack_from: int | None) -> None:
        self._etag = etag
        self._pack_from = pack_from

    def now(self, reply: Reply, method: str, asked: Mapping[str, Any]) -> Reply | None:
        """The answer to send in place of this one, often itself; `asked` are request headers.

        None when it takes a thread to make it (`finish`).
        """
        if self._etag and reply.status == 200 and method in ("GET", "HEAD") and reply.body:
            unchanged = self._conditional(reply, asked.get("if-none-match"))
            if unchanged is not None:
                return unchanged
        if self._pack_from is None or len(reply.body) < self._pack_from or not _packable(reply):
            return reply
        packs = _takes_gzip(asked.get("accept-encoding"))
        if packs and len(reply.body) >= _OWN_THREAD:
            return None
        return _packed(reply, packs=packs)

    async def finish(self, reply: Reply, method: str, asked: Mapping[str, Any]) -> Reply:
        """The same, whatever it takes."""
        finished = self.now(reply, method, asked)
        if finished is None:
            return await asyncio.to_thread(_packed, reply, packs=True)
        return finished

    def packs(self, size: int) -> bool:
        """Whether a body of this size may be packed."""
        return self._pack_from is not None and size >= self._pack_from

    def _conditional(self, reply: Reply, known: Any) -> Reply | None:
        """A 304 if the client has this answer; else the answer gets a tag to ask with."""
        tag = None
        for name, value in reply.head:
            if name == b"etag":
                tag = value
            elif name == b"cache-control" and b"no-store" in value:
                return None
        if tag is None:
            digest = hashlib.sha1(reply.body, usedforsecurity=False).hexdigest()
            tag = f'W/"{digest[:24]}"'.encode()
            reply.head.append((b"etag", tag))
        if known is None or not _matches(known, tag.decode("latin-1")):
            return None
        return Reply(304, [line for line in reply.head if line[0] in _KEPT], b"")


def _packed(reply: Reply, *, packs: bool) -> Reply:
    """An answer that may be packed, and is where its client takes that."""
    head: Head = [*reply.head, (b"vary", b"accept-encoding")]
    if not packs:
        return Reply(reply.status, head, reply.body)
    body = _gzip(reply.body)
    changed: Head = []
    for name, value in head:
        if name == b"content-length":
            value = b"%d" % len(body)
        elif name == b"etag" and not value.startswith(b"W/"):
            # A strong tag promises the same bytes, and these are others.
            value = b"W/" + value
        changed.append((name, value))
    changed.append((b"content-encoding", b"gzip"))
    return Reply(reply.status, changed, body)


def _packable(reply: Reply) -> bool:
    """Whether the body is of a kind that shrinks, and nobody has said to leave it alone."""
    kind = b""
    for name, value in reply.head:
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding" or (name == b"cache-control" and b"no-transform" in value):
            return False
    if kind.startswith(b"text/"):
        return kind != b"text/event-stream"
    return kind in _TYPES or kind.endswith((b"+json", b"+xml"))


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, _LEVEL, 31)


def _matches(known: Any, tag: str) -> bool:
    """Whether an If-None-Match, which may come several times, has the tag, weakly compared."""
    text = ", ".join(known) if isinstance(known, list) else str(known)
    if text.strip() == "*":
        return True
    bare = tag.removeprefix("W/")
    if bare in _QUOTED.findall(text):
        return True
    # A handler may have forgotten the quotes.
    return any(each.strip().removeprefix("W/") == bare for each in text.split(","))


def _takes_gzip(accepted: Any) -> bool:
    """Whether an Accept-Encoding allows gzip."""
    text = ",".join(accepted) if isinstance(accepted, list) else accepted or ""
    allowed: dict[str, bool] = {}
    for part in text.lower().split(","):
        name, _, more = part.partition(";")
        weight = more.replace(" ", "").removeprefix("q=")
        allowed[name.strip()] = weight.strip("0.") != "" or weight == ""
    return allowed.get("gzip", allowed.get("x-gzip", allowed.get("*", False)))
