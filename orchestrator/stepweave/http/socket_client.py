"""One WebSocket client of the streams: what it follows, what it gets, how fast it may ask."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from stepweave.engine.live.follower import Follower, Key
from stepweave.engine.live.notices import Message, error_message
from stepweave.engine.live.rooms import Rooms
from stepweave.http.access import Access, Denied
from stepweave.http.link import Link, text_frame
from stepweave.http.stream_messages import InvalidMessage, read_message

__all__ = ["Limits", "SocketClient"]

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


class SocketClient(Follower):
    """One connection: its messages are taken one after the other, in their order."""

    __slots__ = (
        "_access", "_busy", "_inbox", "_limits", "_link", "_mistakes", "_out", "_rooms",
        "_subscriptions", "_task", "_tokens", "_tokens_at", "auth",
    )  # fmt: skip

    def __init__(
        self, link: Link, rooms: Rooms, access: Access, limits: Limits, auth: bytes
    ) -> None:
        super().__init__()
        self._link = link
        self._rooms = rooms
        self._access = access
        self._limits = limits
        self.auth = auth
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
        if link.paused and link.buffered > self._limits.buffer:
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
            self._rooms.refresh(self)

    def gone(self) -> None:
        """The connection is over."""
        self._inbox.clear()
        if self._task is not None:
            self._task.cancel()
        self._rooms.drop(self)

    # --- whether it still may

    def followed(self) -> list[Key]:
        """See Guarded."""
        return list(self._subscriptions)

    def deny(self, key: Key, text: str) -> None:
        """See Guarded."""
        if self._subscriptions.pop(key, None) is not None:
            self._rooms.leave(self, key)
            self._tell(key, "STREAM_ACCESS_DENIED", text)

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
        elif len(self._subscriptions) >= self._limits.max_subscriptions:
            most = self._limits.max_subscriptions
            text = f"One connection may have {most} subscriptions"
            self._tell(key, "TOO_MANY_SUBSCRIPTIONS", text)
        else:
            self._join(key, subscription)

    def _join(self, key: Key, subscription: str) -> None:
        access = self._access
        stream = access.stream(key[0])
        if stream is None:
            self._tell(key, "STREAM_ACCESS_DENIED", f"Stream {key[0]} not found")
            return
        if not stream.has_access_check:
            self._enter(key, subscription)
            return

        async def ask() -> None:
            try:
                await access.check(stream, key, self.auth)
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
        self._rooms.join(self, key)

    def _leave(self, key: Key, subscription: str) -> None:
        kept = self._subscriptions.get(key)
        if kept is None:
            return
        kept.discard(subscription)
        if not kept:
            del self._subscriptions[key]
            self._rooms.leave(self, key)

    def _tell(self, key: Iterable[str | None], code: str, text: str) -> None:
        stream, group, id = key
        message = error_message((stream, group, id), code, text, self._rooms.stamp())
        if self.take(message):
            self.flush()
