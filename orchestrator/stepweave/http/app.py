"""The ASGI application: API steps first and fast, then internal paths, then JSON errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp

from stepweave.http.api_steps import ApiSteps
from stepweave.http.request import Receive
from stepweave.http.response import Reply, Send, error_reply, send_reply
from stepweave.steps.model import Step
from stepweave.steps.routes import MethodNotAllowed, RouteTable
from stepweave.trace import new_trace_id

__all__ = ["App"]

_INTERNAL = "/_stepweave"


class App:
    """Routes each request. `routes` is replaced as a whole when the steps change."""

    def __init__(self, api: ApiSteps, internal: ASGIApp, routes: RouteTable[Step]) -> None:
        self.routes = routes
        self._api = api
        self._internal = internal

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._refuse_socket(scope, receive, send)
            return
        path: str = scope["raw_path"].decode("latin-1")
        match = self.routes.match(scope["method"], path)
        if match is None or path.startswith(_INTERNAL):
            await self._other(path, scope, receive, send)
        elif isinstance(match, MethodNotAllowed):
            if path == "/" and scope["method"] in ("GET", "HEAD"):
                await self._other(path, scope, receive, send)
                return
            await send_reply(send, _not_allowed(match, scope["method"], path), new_trace_id())
        else:
            await self._api.serve(match.step, match.params, scope, receive, send)

    async def _other(
        self, path: str, scope: Mapping[str, Any], receive: Receive, send: Send
    ) -> None:
        if path == "/" or path.startswith(_INTERNAL):
            await self._internal(scope, receive, send)  # type: ignore[arg-type]
            return
        reply = error_reply(404, f"There is no route {scope['method']} {path}")
        await send_reply(send, reply, new_trace_id())

    async def _refuse_socket(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})


def _not_allowed(match: MethodNotAllowed, method: str, path: str) -> Reply:
    allowed = ", ".join(match.allowed)
    reply = error_reply(405, f"{path} answers {allowed}, not {method}")
    reply.head.append((b"allow", allowed.encode()))
    return reply
