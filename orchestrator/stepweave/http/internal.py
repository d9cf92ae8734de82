"""What is served under /_stepweave: health for everyone, the JSON API for those who may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from stepweave.http.guard import Guard
from stepweave.http.page import overview

__all__ = ["Insight", "make"]


class Insight(Protocol):
    """What the pages and the API show of a running project."""

    def project(self) -> dict[str, Any]: ...
    def steps(self) -> dict[str, Any]: ...
    def status(self) -> dict[str, Any]: ...
    def health(self) -> dict[str, Any]: ...
    async def traces(self, limit: int) -> list[dict[str, Any]]: ...
    async def trace(self, trace_id: str) -> dict[str, Any] | None: ...
    async def logs(self, limit: int) -> list[dict[str, Any]]: ...
    async def dead(self, limit: int) -> list[dict[str, Any]]: ...


class _Json(JSONResponse):
    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, default=str)


def make(insight: Insight, guard: Guard) -> Starlette:
    """The Starlette application of the internal paths, and of `/` where no step has it."""

    def guarded(
        serve: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            refused = guard.refusal(request.headers)
            if refused is not None:
                return _Json({"error": refused[1]}, status_code=refused[0])
            return await serve(request)

        return checked

    async def health(_request: Request) -> Response:
        found = insight.health()
        return _Json(found, status_code=200 if found["ready"] else 503)

    async def page(_request: Request) -> Response:
        return HTMLResponse(overview(insight.project(), insight.steps(), insight.status()))

    async def steps(_request: Request) -> Response:
        return _Json(insight.steps())

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

    async def dead(request: Request) -> Response:
        return _Json({"dead": await insight.dead(_limit(request))})

    async def failed(_request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 500
        text = error.detail if isinstance(error, HTTPException) else "Internal server error"
        return _Json({"error": text}, status_code=code)

    api = {"steps": steps, "status": status, "traces": traces, "logs": logs, "dead": dead}
    return Starlette(
        routes=[
            Route("/_stepweave/health", health),
            Route("/", guarded(page)),
            Route("/_stepweave", guarded(page)),
            Route("/_stepweave/", guarded(page)),
            *(Route(f"/_stepweave/api/{name}", guarded(serve)) for name, serve in api.items()),
            Route("/_stepweave/api/traces/{id}", guarded(trace)),
        ],
        exception_handlers={HTTPException: failed, Exception: failed},
    )


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "100")
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise HTTPException(400, f"limit must be a number from 1 to 1000, not {text!r}")
    return int(text)
