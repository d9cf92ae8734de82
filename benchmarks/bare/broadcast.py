"""A bare WebSocket server: whoever joins gets all that is sent. Nothing is stored.

A message that is a number makes it send that many documents to everybody.
"""

from __future__ import annotations

import asyncio
import sys
import time

import orjson
import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

TEXT = "x" * 120
EVERYBODY: set[ServerConnection] = set()


def document(kind: str, data: object) -> str:
    return orjson.dumps(
        {
            "timestamp": time.time_ns() // 1_000_000,
            "streamName": "bench",
            "groupId": "g",
            "id": "a",
            "event": {"type": kind, "data": data},
        }
    ).decode()


async def handle(connection: ServerConnection) -> None:
    async for message in connection:
        if str(message).isdecimal():
            for n in range(int(message)):
                broadcast(EVERYBODY, document("update", {"n": n, "text": TEXT, "id": "a"}))
                await asyncio.sleep(0)
        else:
            EVERYBODY.add(connection)
            await connection.send(document("sync", []))
    EVERYBODY.discard(connection)


async def main() -> None:
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=2048) as it:
        await it.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
