"""A bare Starlette endpoint: reads a JSON body, answers a small JSON object."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def bench(request: Request) -> JSONResponse:
    """Answer as the benchmarked steps do."""
    body = await request.json()
    return JSONResponse({"id": body["id"], "ok": True})


app = Starlette(routes=[Route("/bench", bench, methods=["POST"])])
