"""A plain client of the WebSocket protocol, for tests that look at every message."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.flows.harness import LIMIT_S, Running

__all__ = ["Socket", "change", "follow"]


class Socket:
    """An open connection; everything that comes is kept in `messages`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.it = connection
        self.messages: list[dict[str, Any]] = []

    async def say(self, message: Any) -> None:
        """Send a message, as JSON unless it is text or bytes."""
        is_raw = isinstance(message, str | bytes)
        await self.it.send(message if is_raw else json.dumps(message))

    async def join(
        self, stream: str, group: str, id: str | None = None, subscription: str = "1"
    ) -> None:
        """Ask to follow."""
        await self.say({"type": "join", "data": _data(stream, group, id, subscription)})

    async def leave(
        self, stream: str, group: str, id: str | None = None, subscription: str = "1"
    ) -> None:
        """Ask to follow no more."""
        await self.say({"type": "leave", "data": _data(stream, group, id, subscription)})

    async def next(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(LIMIT_S):
            message: dict[str, Any] = json.loads(await self.it.recv())
        self.messages.append(message)
        return message

    async def event(self) -> Any:
        """The event of the next message."""
        return (await self.next())["event"]

    async def closed(self) -> tuple[int, str]:
        """Read to the end: the close code and reason."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(LIMIT_S):
                while True:
                    await self.it.recv()
        return self.it.close_code or 0, self.it.close_reason or ""


@contextlib.asynccontextmanager
async def follow(running: Running, path: str = "/", **options: Any) -> AsyncIterator[Socket]:
    """Open a connection to a running project."""
    url = str(running.http.base_url).replace("http", "ws", 1).rstrip("/") + path
    async with connect(url, proxy=None, compression=None, **options) as connection:
        yield Socket(connection)


async def change(running: Running, *changes: Any) -> None:
    """Make changes of streams, [what, stream, group, id, data] each, and wait for the answer."""
    answer = await running.http.post("/change", json=list(changes))
    assert answer.status_code == 200, answer.text


def _data(stream: str, group: str, id: str | None, subscription: str) -> dict[str, str]:
    data = {"streamName": stream, "groupId": group, "subscriptionId": subscription}
    return data if id is None else {**data, "id": id}
