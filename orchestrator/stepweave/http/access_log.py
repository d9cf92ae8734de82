"""One log record for each request, when the project asks for it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from stepweave import masking
from stepweave.http.request import Receive
from stepweave.http.response import Send
from stepweave.logs import LogHub

__all__ = ["AccessLog"]

_INTERNAL = "/_stepweave"
_LONGEST = 2000
_GONE = 499

App = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]


class AccessLog:
    """An application that notes what another one answers. Internal paths are left out."""

    def __init__(self, app: App, hub: LogHub) -> None:
        self._app = app
        self._hub = hub

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"].startswith(_INTERNAL):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, size = _GONE, 0
        head: dict[bytes, bytes] = {}

        async def noting(message: dict[str, Any]) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                head.update(message["headers"])
                if not scope["state"]["gone"]():
                    status = message["status"]
            elif status != _GONE:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            client = scope.get("client")
            trace_id = head.get(b"x-trace-id", b"").decode("latin-1") or None
            request_id = head.get(b"x-request-id", b"").decode("latin-1")
            more = {"requestId": request_id} if request_id != trace_id else {}
            self._hub.log(
                "info",
                f"{scope['method']} {_target(scope)} {status}",
                trace_id=trace_id,
                ms=round((time.perf_counter() - began) * 1000, 2),
                bytes=size,
                client=client[0] if client else None,
                **more,
            )


def _target(scope: Mapping[str, Any]) -> str:
    """Path and query as they were sent, without values under a secret's name."""
    path: str = scope["raw_path"].decode("latin-1")
    query: str = scope["query_string"].decode("latin-1")
    if query:
        path = f"{path}?{'&'.join(map(_masked, query.split('&')))}"
    return masking.shorten(path, _LONGEST)


def _masked(field: str) -> str:
    name, equals, _ = field.partition("=")
    return f"{name}={masking.MASK}" if equals and masking.is_secret(unquote_plus(name)) else field
