"""The WebSockets of the streams, on any path: who is let in, and who is still there."""

from __future__ import annotations

import asyncio
import functools
import weakref

from websockets.frames import CloseCode
from websockets.http11 import Request

from stepweave.engine.live.rooms import Rooms
from stepweave.http.access import Access, Unauthenticated
from stepweave.http.link import Link
from stepweave.http.request import headers
from stepweave.http.response import Reply, error_reply
from stepweave.http.socket_client import Limits, SocketClient

__all__ = ["Sockets"]

_INTERNAL = "/_stepweave"


class Sockets:
    """All WebSocket clients. `link` makes the protocol of a new connection, for uvicorn's `ws`."""

    def __init__(self, rooms: Rooms, access: Access, limits: Limits) -> None:
        self.rooms = rooms
        self.access = access
        self.limits = limits
        self.links: set[Link] = set()
        self.clients: weakref.WeakSet[SocketClient] = weakref.WeakSet()
        self.link = functools.partial(Link, self._open, self.links, max_message=limits.max_message)
        self._ticker: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Tell every client that the server goes away."""
        for link in list(self.links):
            link.close(CloseCode.GOING_AWAY, "the server stops")

    def _tick(self) -> None:
        """Look after the clients, for as long as there are any."""
        for link in list(self.links):
            link.ping()
        self._ticker = None
        if self.links:
            self._keep_looking()

    def _keep_looking(self) -> None:
        if self._ticker is None:
            loop = asyncio.get_running_loop()
            self._ticker = loop.call_later(self.limits.ping_s, self._tick)

    async def _open(self, link: Link, request: Request) -> SocketClient | Reply:
        head = headers(
            (name.lower().encode("latin-1"), value.encode("latin-1", "surrogateescape"))
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
        self._keep_looking()
        client = SocketClient(link, self.rooms, self.access, self.limits, auth)
        self.clients.add(client)
        return client
