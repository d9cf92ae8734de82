"""What is served under /_stepweave: health for everyone, the JSON API for those who may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepweave.http.guard import Guard
from stepweave.http.identity import identity
from stepweave.http.page import POLICY, overview

__all__ = ["Insight", "make"]

_HEALTH = "/_stepweave/health"
_OPEN = frozenset({_HEALTH, f"{_HEALTH}/live", f"{_HEALTH}/ready"})
_PROTECTION = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What every internal answer tells browsers, unless a page says it itself."""


class Insight(Protocol):
    """What the pages and the API show of a running project."""

    def project(self) -> dict[str, Any]: ...
    def steps(self) -> dict[str, Any]: ...
    def openapi(self) -> dict[str, Any]: ...
    def status(self) -> dict[str, Any]: ...
    def health(self) -> dict[str, Any]: ...
    async def traces(self, limit: int) -> list[dict[str, Any]]: ...
    async def trace(self, trace_id: str) -> dict[str, Any] | None: ...
    async def logs(self, limit: int) -> list[dict[str, Any]]: ...


class _Json(JSONResponse):
    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, default=str)


def make(insight: Insight, guard: Guard, more: Sequence[Route] = ()) -> ASGIApp:
    """The application of the internal paths, of `more`, and of `/` where no step has it."""

    async def health(_request: Request) -> Response:
        found = insight.health()
        return _Json(found, status_code=200 if found["ready"] else 503)

    async def live(_request: Request) -> Response:
        return _Json({"status": "ok"})

    async def ready(_request: Request) -> Response:
        found = insight.health()
        return _Json({"status": found["status"]}, status_code=200 if found["ready"] else 503)

    async def page(_request: Request) -> Response:
        text = overview(insight.project(), insight.steps(), insight.status())
        return HTMLResponse(text, headers={"content-security-policy": POLICY})

    async def steps(_request: Request) -> Response:
        return _Json(insight.steps())

    async def openapi(_request: Request) -> Response:
        return _Json(insight.openapi())

    async def status(_request: Request) -> Response:
        return _Json(insight.status())

    async def traces(request: Request) -> Response:
        return _Json({"traces": await insight.traces(_limit(request))})

    async def trace(request: Request) -> Response:
        found = await insight.trace(request.path_params["id"])
        if found is None:
            return _Json({"error": f"no trace {request.path_params['id']}"}, status_code=404)
        return _Json(found)

    async def logs(request: Request) -> Response:
        return _Json({"logs": await insight.logs(_limit(request))})

    api = {"steps": steps, "status": status, "traces": traces, "logs": logs}
    app = Starlette(
        routes=[
            Route(_HEALTH, health),
            Route(f"{_HEALTH}/live", live),
            Route(f"{_HEALTH}/ready", ready),
            Route("/", page),
            Route("/_stepweave", page),
            Route("/_stepweave/", page),
            Route("/_stepweave/openapi.json", openapi),
            *(Route(f"/_stepweave/api/{name}", serve) for name, serve in api.items()),
            Route("/_stepweave/api/traces/{id}", trace),
            *more,
        ],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _PROTECTION.items():
                    headers.setdefault(name, value)
                headers["x-trace-id"], headers["x-request-id"] = identity(scope["headers"])
            await send(message)

        refusal = None if scope["path"] in _OPEN else guard.refusal(Headers(scope=scope))
        serve: ASGIApp = app if refusal is None else _error(Request(scope), *refusal)
        await serve(scope, receive, marked)

    return checked


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(request, error.status_code, error.detail)


async def _fail(request: Request, _cause: Exception) -> Response:
    return _error(request, 500, "Internal server error")


def _error(request: Request, status: int, text: str) -> Response:
    """An error in the words and with the headers of those that API steps get."""
    path = request.scope["raw_path"].decode("latin-1")
    headers = {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    elif status == 404:
        text = f"There is no route {request.method} {path}"
    elif status == 405:
        headers["allow"] = "GET, HEAD"
        text = f"{path} answers GET, HEAD, not {request.method}"
    return _Json({"error": text}, status_code=status, headers=headers)


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "100")
    limit = int(text) if text.isdecimal() and len(text) <= 4 else 0
    if not 1 <= limit <= 1000:
        raise HTTPException(400, f"limit must be a number from 1 to 1000, not {text[:100]!r}")
    return limit
