"""WebSocket clients of the streams, on any path: join, leave, and what they get for it."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from websockets.http11 import Request

from stepweave.engine.notices import Message, error_message
from stepweave.engine.rooms import Follower, Key, Rooms
from stepweave.http.access import Access, Denied, Unauthenticated
from stepweave.http.link import Link, text_frame
from stepweave.http.request import headers
from stepweave.http.response import Reply, error_reply

__all__ = ["InvalidMessage", "Limits", "Sockets", "read_message"]

_INTERNAL = "/_stepweave"
_MOST_MISTAKES = 20
_BURST = 1000
_PER_S = 200.0
_POLICY = 1008


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost. Sizes in bytes; `origins` empty: pages of everybody."""

    origins: tuple[str, ...] = ()
    max_message: int = 64 << 10
    max_subscriptions: int = 1000
    buffer: int = 1 << 20
    ping_s: float = 20.0


class Sockets:
    """All WebSocket clients. `link` makes the protocol of a new connection, for uvicorn's `ws`."""

    def __init__(self, rooms: Rooms, access: Access, limits: Limits) -> None:
        self.rooms = rooms
        self.access = access
        self.limits = limits
        self.links: set[Link] = set()
        self.link = functools.partial(Link, self._open, self.links, max_message=limits.max_message)
        self._loop = asyncio.get_running_loop()
        self._ticker = self._loop.call_later(limits.ping_s, self._tick)

    def close(self) -> None:
        """Tell every client that the server goes away."""
        self._ticker.cancel()
        for link in list(self.links):
            link.shutdown()

    def _tick(self) -> None:
        for link in list(self.links):
            link.ping()
        self._ticker = self._loop.call_later(self.limits.ping_s, self._tick)

    async def _open(self, link: Link, request: Request) -> Client | Reply:
        head = headers(
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers.raw_items()
        )
        if request.path.startswith(_INTERNAL):
            return error_reply(404, f"There is no WebSocket at {request.path}")
        origin = head.get("origin")
        if self.limits.origins and origin is not None and origin not in self.limits.origins:
            return error_reply(403, f"pages of {origin} may not follow streams here")
        try:
            auth = await self.access.identify(head, request.path)
        except Unauthenticated as refusal:
            return error_reply(refusal.status, str(refusal))
        return Client(link, self, auth)


class Client(Follower):
    """One connection: its messages are taken one after the other, in their order."""

    __slots__ = (
        "_auth", "_busy", "_inbox", "_link", "_mistakes", "_out", "_sockets", "_subscriptions",
        "_task", "_tokens", "_tokens_at",
    )  # fmt: skip

    def __init__(self, link: Link, sockets: Sockets, auth: bytes) -> None:
        super().__init__()
        self._link = link
        self._sockets = sockets
        self._auth = auth
        self._out: list[bytes] = []
        self._inbox: deque[bytes] = deque()
        self._subscriptions: dict[Key, set[str]] = {}
        self._busy = False
        self._task: asyncio.Task[None] | None = None
        self._mistakes = 0
        self._tokens = float(_BURST)
        self._tokens_at = time.monotonic()

    # --- what it gets

    def take(self, message: Message) -> bool:
        """See Follower."""
        if self.stale:
            return False
        frame = message.frame
        if frame is None:
            frame = message.frame = text_frame(message.body)
        self._out.append(frame)
        return len(self._out) == 1

    def flush(self) -> None:
        """See Follower."""
        out = self._out
        link = self._link
        if link.paused and link.buffered > self._sockets.limits.buffer:
            self.stale = True
        else:
            link.write(out[0] if len(out) == 1 else b"".join(out))
        out.clear()

    def lost(self, key: Key, reason: str) -> None:
        """See Follower."""
        self._subscriptions.pop(key, None)
        self._tell(key, "STREAM_UNAVAILABLE", reason)

    def drained(self) -> None:
        """The other side reads again."""
        if self.stale:
            self._sockets.rooms.refresh(self)

    def gone(self) -> None:
        """The connection is over."""
        self._inbox.clear()
        if self._task is not None:
            self._task.cancel()
        self._sockets.rooms.drop(self)

    # --- what it says

    def received(self, data: bytes) -> None:
        """Take a message."""
        self._inbox.append(data)
        if not self._busy:
            self._work()

    def _work(self) -> None:
        while self._inbox:
            if wait_s := self._too_fast_s():
                self._wait()
                asyncio.get_running_loop().call_later(wait_s, self._resume)
                return
            self._handle(self._inbox.popleft())
            if self._busy:
                return
        self._link.release()

    def _wait(self) -> None:
        self._busy = True
        self._link.hold()

    def _resume(self) -> None:
        self._busy = False
        self._work()

    def _too_fast_s(self) -> float:
        """Seconds to wait before the next message is taken, for one who sends without end."""
        now = time.monotonic()
        earned = (now - self._tokens_at) * _PER_S
        self._tokens = min(float(_BURST), self._tokens + earned)
        self._tokens_at = now
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / _PER_S
        self._tokens -= 1.0
        return 0.0

    def _handle(self, data: bytes) -> None:
        try:
            kind, key, subscription = read_message(data)
        except InvalidMessage as wrong:
            self._mistakes += 1
            self._tell(wrong.key, "INVALID_MESSAGE", str(wrong))
            if self._mistakes >= _MOST_MISTAKES:
                self._link.close(_POLICY, "too many messages that cannot be read")
                self._inbox.clear()
            return
        if kind == "leave":
            self._leave(key, subscription)
        elif key in self._subscriptions:
            # It was let in before, for another subscription; now each join is asked anew.
            self._join(key, subscription)
        elif len(self._subscriptions) >= self._sockets.limits.max_subscriptions:
            most = self._sockets.limits.max_subscriptions
            text = f"One connection may have {most} subscriptions"
            self._tell(key, "TOO_MANY_SUBSCRIPTIONS", text)
        else:
            self._join(key, subscription)

    def _join(self, key: Key, subscription: str) -> None:
        access = self._sockets.access
        stream = access.stream(key[0])
        if stream is None:
            self._tell(key, "STREAM_ACCESS_DENIED", f"Stream {key[0]} not found")
            return
        if not stream.has_access_check:
            self._enter(key, subscription)
            return

        async def ask() -> None:
            try:
                await access.check(stream, key, self._auth)
            except Denied as denial:
                self._tell(key, "STREAM_ACCESS_DENIED", str(denial))
            else:
                self._enter(key, subscription)
            self._task = None
            self._resume()

        self._wait()
        self._task = asyncio.get_running_loop().create_task(ask())

    def _enter(self, key: Key, subscription: str) -> None:
        self._subscriptions.setdefault(key, set()).add(subscription)
        self._sockets.rooms.join(self, key)

    def _leave(self, key: Key, subscription: str) -> None:
        kept = self._subscriptions.get(key)
        if kept is None:
            return
        kept.discard(subscription)
        if not kept:
            del self._subscriptions[key]
            self._sockets.rooms.leave(self, key)

    def _tell(self, key: Iterable[str | None], code: str, text: str) -> None:
        stream, group, id = key
        message = error_message((stream, group, id), code, text, self._sockets.rooms.stamp())
        if self.take(message):
            self.flush()


class InvalidMessage(Exception):
    """A message that makes no sense; `key` holds the names that could be read."""

    def __init__(self, text: str, *key: str | None) -> None:
        super().__init__(text)
        self.key = key or (None, None, None)


def read_message(data: bytes) -> tuple[str, Key, str]:
    """What a message says: join or leave, the room, and the client's name for the subscription.

    Raises InvalidMessage.
    """
    try:
        message: Any = orjson.loads(data)
    except ValueError as error:
        raise InvalidMessage(f"the message is not JSON: {error}") from error
    kind = message.get("type") if isinstance(message, dict) else None
    if kind not in ("join", "leave"):
        raise InvalidMessage(f'a message has the type "join" or "leave", not {_shown(kind)}')
    given = message.get("data")
    if not isinstance(given, dict):
        raise InvalidMessage(f'"{kind}" needs data: {{streamName, groupId, id?, subscriptionId}}')
    names = [given.get(name) for name in ("streamName", "groupId", "id")]
    stream, group, id = (name if isinstance(name, str) else None for name in names)
    for name, value in zip(("streamName", "groupId"), names, strict=False):
        if not isinstance(value, str):
            raise InvalidMessage(
                f'"{name}" must be a string, not {_shown(value)}', stream, group, id
            )
    if names[2] is not None and id is None:
        raise InvalidMessage(f'"id" must be a string, not {_shown(names[2])}', stream, group, id)
    subscription = given.get("subscriptionId")
    if subscription is not None and not isinstance(subscription, str):
        text = f'"subscriptionId" must be a string, not {_shown(subscription)}'
        raise InvalidMessage(text, stream, group, id)
    assert stream is not None and group is not None
    return kind, (stream, group, id), subscription or ""


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:60]}…"
