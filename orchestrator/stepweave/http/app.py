"""The ASGI application: API steps first and fast, then internal paths, then JSON errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp

from stepweave.http.api_steps import ApiSteps
from stepweave.http.cors import Cors
from stepweave.http.exchange import Exchange
from stepweave.http.identity import identity
from stepweave.http.request import Receive
from stepweave.http.response import Reply, Send, error_reply, send_reply
from stepweave.http.sse import ROOT, EventStreams
from stepweave.http.static import Static
from stepweave.steps.model import Step
from stepweave.steps.routes import Match, MethodNotAllowed, RouteTable

__all__ = ["App"]

_INTERNAL = "/_stepweave"


class App:
    """Routes each request. `routes` is replaced as a whole when the steps change."""

    def __init__(
        self,
        api: ApiSteps,
        internal: ASGIApp,
        routes: RouteTable[Step],
        *,
        cors: Cors | None = None,
        events: EventStreams | None = None,
        static: Static | None = None,
    ) -> None:
        self.routes = routes
        self._api = api
        self._internal = internal
        self._cors = cors
        self._events = events
        self._static = static

    def direct(self, exchange: Exchange) -> bool:
        """Take a request of a step's route whose answer needs no task; False leaves it to ASGI."""
        scope = exchange.scope
        path: str = scope["raw_path"].decode("latin-1")
        if path.startswith(_INTERNAL):
            return False
        method: str = scope["method"]
        match = self.routes.match(method, path)
        if not isinstance(match, Match):
            return False
        if self._cors is not None and method != "OPTIONS":
            exchange.lines = self._cors.lines(scope["headers"])
        return self._api.direct(match.step, match.params, exchange)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        path: str = scope["raw_path"].decode("latin-1")
        if path.startswith(_INTERNAL):
            await self._inside(path, scope, receive, send)
            return
        method: str = scope["method"]
        match = self.routes.match(method, path)
        if isinstance(match, Match):
            if self._cors is not None and method != "OPTIONS":
                send = self._cors.wrap(scope, send)
            await self._api.serve(match.step, match.params, scope, receive, send)
        else:
            await self._other(match, path, scope, receive, send)

    async def _other(
        self,
        match: MethodNotAllowed | None,
        path: str,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        """What no step answers: files, preflights, the methods of a path, the page, errors."""
        method: str = scope["method"]
        reads = method in ("GET", "HEAD")
        plain = send
        reply: Reply | None = None
        if self._cors is not None:
            if method == "OPTIONS":
                reply = self._cors.preflight(scope["headers"])
            send = self._cors.wrap(scope, send) if reply is None else send
        if self._static is not None and reads and await self._static.serve(scope, receive, send):
            return
        if path == "/" and reply is None and (match is None or reads):
            await self._internal(scope, receive, plain)  # type: ignore[arg-type]
            return
        if reply is None:
            reply = _refusal(match, method, path)
        await send_reply(send, reply, *identity(scope["headers"]))

    async def _inside(
        self, path: str, scope: Mapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Paths of our own: those of streams are for users, like routes, the others are not."""
        if self._events is None or not path.startswith(ROOT):
            await self._internal(scope, receive, send)  # type: ignore[arg-type]
            return
        if self._cors is not None:
            if scope["method"] == "OPTIONS" and (reply := self._cors.preflight(scope["headers"])):
                await send_reply(send, reply, *identity(scope["headers"]))
                return
            send = self._cors.wrap(scope, send)
        await self._events.serve(scope, receive, send)


def _refusal(match: MethodNotAllowed | None, method: str, path: str) -> Reply:
    """The answer to a request that no step takes."""
    if match is None:
        return error_reply(404, f"There is no route {method} {path}")
    allowed = ", ".join(match.allowed)
    if method == "OPTIONS":
        return Reply(204, [(b"allow", f"{allowed}, OPTIONS".encode())], b"")
    reply = error_reply(405, f"{path} answers {allowed}, not {method}")
    reply.head.append((b"allow", allowed.encode()))
    return reply
