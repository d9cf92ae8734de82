"""Server-Sent Events: one stream group, or one item of it, for clients without WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from stepweave.engine.live.follower import Follower, Key
from stepweave.engine.live.notices import Message, error_message
from stepweave.engine.live.rooms import Rooms
from stepweave.http.access import Access, Denied, Unauthenticated
from stepweave.http.identity import identity
from stepweave.http.request import Receive, headers
from stepweave.http.response import Reply, Send, error_reply, send_reply

__all__ = ["ROOT", "EventStreams"]

ROOT = "/_stepweave/streams/"

_GIVE_UP_S = 1.0
_LONGEST_NUMBER = 18
_HEAD = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_PING = b": ping\n\n"


class EventStreams:
    """Serves `/_stepweave/streams/<stream>/<group>[/<id>]`, under the rules of the WebSockets.

    Each event's id is the group's number; a client that comes back with it in Last-Event-ID
    gets what it missed, or everything if that is not known any more.
    """

    def __init__(self, rooms: Rooms, access: Access, *, buffer: int, ping_s: float) -> None:
        self._rooms = rooms
        self._access = access
        self._buffer = buffer
        self._ping_s = ping_s
        self._readers: dict[_Reader, asyncio.Task[Any]] = {}

    def __len__(self) -> int:
        """How many clients there are."""
        return len(self._readers)

    async def serve(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request; the answer lasts until one of the two sides goes."""
        head = headers(scope["headers"])
        given = await self._admit(scope, head)
        method = scope["method"]
        if isinstance(given, Reply):
            await send_reply(send, given, *identity(scope["headers"]), head_only=method == "HEAD")
            return
        own = [*_HEAD]
        await send({"type": "http.response.start", "status": 200, "headers": own})
        if method == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        seen = _number(head.get("last-event-id"))
        key, auth = given
        reader = _Reader(self._rooms, key, auth, self._buffer)
        task = asyncio.current_task()
        assert task is not None
        self._readers[reader] = task
        leaving = asyncio.get_running_loop().create_task(_until_gone(receive, reader))
        try:
            self._rooms.join(reader, key, since=seen, again=seen is not None)
            await self._write(reader, send)
        except asyncio.CancelledError:
            if not reader.over:
                raise
        finally:
            leaving.cancel()
            del self._readers[reader]
            self._rooms.drop(reader)

    @property
    def readers(self) -> list[_Reader]:
        """The clients of now."""
        return list(self._readers)

    def close(self) -> None:
        """End every answer; a client that does not read is left behind."""
        loop = asyncio.get_running_loop()
        for reader, task in self._readers.items():
            reader.end()
            loop.call_later(_GIVE_UP_S, task.cancel)

    async def _write(self, reader: _Reader, send: Send) -> None:
        body: dict[str, Any] = {"type": "http.response.body", "more_body": True}
        # Something at once, so that the client knows that it is connected.
        await send({**body, "body": b": ok\n\n"})
        while not reader.over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ping_s):
                    await reader.ready.wait()
            await send({**body, "body": reader.collect() or _PING})
            if reader.stale:
                self._rooms.refresh(reader)
        await send({**body, "body": reader.collect(), "more_body": False})

    async def _admit(
        self, scope: Mapping[str, Any], head: Mapping[str, Any]
    ) -> tuple[Key, bytes] | Reply:
        """What the request may follow and as whom, or why not."""
        path: str = scope["raw_path"].decode("latin-1")
        if scope["method"] not in ("GET", "HEAD"):
            reply = error_reply(405, f"{path} answers GET, HEAD, not {scope['method']}")
            reply.head.append((b"allow", b"GET, HEAD"))
            return reply
        key = _key(path)
        if key is None:
            text = f"{ROOT}<stream>/<group>[/<id>] is followed, in UTF-8; a slash in a name is %2F"
            return error_reply(400, text)
        stream = self._access.stream(key[0])
        if stream is None:
            return error_reply(404, f"Stream {key[0]} not found")
        query = scope["query_string"].decode("latin-1")
        try:
            auth = await self._access.identify(head, f"{path}?{query}" if query else path)
            await self._access.check(stream, key, auth)
        except Unauthenticated as refusal:
            return error_reply(refusal.status, str(refusal))
        except Denied as denial:
            return error_reply(403, str(denial), code="STREAM_ACCESS_DENIED")
        return key, auth


class _Reader(Follower):
    """A client that is written to as fast as it reads."""

    __slots__ = ("_key", "_limit", "_out", "_rooms", "_size", "auth", "over", "ready")

    def __init__(self, rooms: Rooms, key: Key, auth: bytes, limit: int) -> None:
        super().__init__()
        self.auth = auth
        self._rooms = rooms
        self._key = key
        self._limit = limit
        self._out: list[bytes] = []
        self._size = 0
        self.over = False
        self.ready = asyncio.Event()

    def take(self, message: Message) -> bool:
        """See Follower."""
        if self.stale:
            return False
        event = message.event
        if event is None:
            event = message.event = _event(message)
        if self._out and self._size + len(event) > self._limit:
            self.stale = True
            self._out.clear()
            self._size = 0
            return False
        self._out.append(event)
        self._size += len(event)
        return len(self._out) == 1

    def flush(self) -> None:
        """See Follower."""
        self.ready.set()

    def lost(self, key: Key, reason: str) -> None:
        """The client may try again."""
        self.end()

    def followed(self) -> list[Key]:
        """See Guarded."""
        return [] if self.over else [self._key]

    def deny(self, key: Key, text: str) -> None:
        """See Guarded. Who comes back is refused with 403."""
        self._rooms.drop(self)
        self.take(error_message(key, "STREAM_ACCESS_DENIED", text, self._rooms.stamp()))
        self.end()

    def end(self) -> None:
        """Send what there is, and nothing more."""
        self.over = True
        self.ready.set()

    def collect(self) -> bytes:
        """What there is to send."""
        data = b"".join(self._out)
        self._out.clear()
        self._size = 0
        self.ready.clear()
        return data


async def _until_gone(receive: Receive, reader: _Reader) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.end()


def _event(message: Message) -> bytes:
    # Between the tokens of JSON a line break means nothing, here it would end the event.
    body = message.body.replace(b"\r", b" ").replace(b"\n", b" ")
    if message.seq is None:
        return b"data: %b\n\n" % body
    return b"id: %d\ndata: %b\n\n" % (message.seq, body)


def _number(text: Any) -> int | None:
    """The number of a group's change that a client names, if it is one."""
    is_one = isinstance(text, str) and text.isdecimal() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_one else None


def _key(path: str) -> Key | None:
    parts = path.removeprefix(ROOT).split("/")
    if len(parts) not in (2, 3) or not all(parts):
        return None
    try:
        names = [unquote_to_bytes(part).decode() for part in parts]
    except UnicodeDecodeError:
        return None
    return names[0], names[1], names[2] if len(names) == 3 else None
