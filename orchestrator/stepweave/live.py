"""The live side of streams, put together: rooms, access, WebSockets, Server-Sent Events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stepweave.engine.live.rooms import Rooms
from stepweave.engine.store.contract import Store
from stepweave.engine.streams import Streams
from stepweave.http.access import Access
from stepweave.http.recheck import Recheck
from stepweave.http.socket_client import Limits
from stepweave.http.sockets import Sockets
from stepweave.http.sse import EventStreams
from stepweave.http.stream_auth import StreamAuth
from stepweave.project import Project
from stepweave.runners.pools import Pools
from stepweave.steps.registry import Registry

__all__ = ["Live"]

_LOOK_S = 0.02


class Live:
    """Whoever follows the streams of a project. Open it inside a running event loop."""

    def __init__(
        self,
        project: Project,
        store: Store,
        streams: Streams,
        pools: Pools,
        registry: Callable[[], Registry],
        notice: Callable[[str, str], None],
    ) -> None:
        settings = project.settings.streams
        self._pools = pools
        self.rooms = Rooms(store, notice)
        streams.listeners.append(self.rooms.changed)
        self.auth = StreamAuth(project.root, pools, settings.auth, notice)
        access = Access(
            pools, self.auth, lambda: registry().streams, notice, settings.access_timeout_s
        )
        limits = Limits(
            origins=settings.origins,
            max_message=settings.max_message,
            max_subscriptions=settings.max_subscriptions,
            buffer=settings.buffer,
            ping_s=settings.ping_s,
        )
        self.sockets = Sockets(self.rooms, access, limits)
        self.events = EventStreams(
            self.rooms, access, buffer=settings.buffer, ping_s=settings.ping_s
        )

        self._recheck = None
        if settings.recheck_s is not None:
            self._recheck = Recheck(
                access, settings.recheck_s, lambda: (*self.sockets.clients, *self.events.readers)
            )

    def statistics(self) -> dict[str, int]:
        """Figures for people."""
        rooms, places = self.rooms.sizes
        return {
            "sockets": len(self.sockets.links),
            "eventStreams": len(self.events),
            "rooms": rooms,
            "subscriptions": places,
        }

    async def close(self, grace_s: float) -> None:
        """Send what the work that runs still changes, for at most `grace_s` seconds, then tell
        every client that the server goes away."""
        for _ in range(int(grace_s / _LOOK_S)):
            if not (self.sockets.links or len(self.events)) or not self._busy():
                break
            await asyncio.sleep(_LOOK_S)
        if self._recheck is not None:
            self._recheck.close()
        await self.rooms.drain()
        self.sockets.close()
        self.events.close()
        self.rooms.close()

    def _busy(self) -> bool:
        return any(child.calls for pool in self._pools.all for child in pool.children)
