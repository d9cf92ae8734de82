"""Cron steps below /_stepweave/api/cron: listed, run now, paused, resumed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from stepweave.engine.cron import AlreadyRunning, CronService, NotServing
from stepweave.errors import UnknownStep
from stepweave.http.manage import parameters
from stepweave.http.manage.resource import ROOT, Refused, Resource

__all__ = ["routes"]


def routes(service: Callable[[], Awaitable[CronService]]) -> list[Route]:
    """The routes; the service is asked for with each request."""
    cron = _Cron(service)
    step = f"{ROOT}cron/{{name:path}}"
    return [
        Route(f"{ROOT}cron", Resource(get=cron.list)),
        Route(f"{step}/next", Resource(get=cron.next)),
        Route(f"{step}/run", Resource(post=cron.run)),
        Route(f"{step}/pause", Resource(post=cron.pause)),
        Route(f"{step}/resume", Resource(post=cron.resume)),
    ]


class _Cron:
    """What a request asks for, of the service."""

    def __init__(self, service: Callable[[], Awaitable[CronService]]) -> None:
        self._service = service

    async def list(self, request: Request) -> Any:
        parameters.query(request)
        return {"cron": (await self._service()).statistics()}

    async def next(self, request: Request) -> Any:
        query = parameters.query(request, "limit")
        service, name = await self._service(), _name(request)
        try:
            found = service.upcoming(parameters.limit({"limit": "10", **query}), name)
        except UnknownStep as error:
            raise Refused(404, str(error)) from error
        return {"step": name, "next": [{"at": at, "time": time} for at, time in found]}

    async def run(self, request: Request) -> Any:
        query = parameters.query(request, "wait")
        wait = parameters.choice(query, "wait", "true", "false") == "true"
        service, name = await self._service(), _name(request)
        try:
            trace_id, future = service.run_now(name)
        except UnknownStep as error:
            raise Refused(404, str(error)) from error
        except AlreadyRunning as error:
            raise Refused(409, str(error)) from error
        except NotServing as error:
            raise Refused(503, str(error)) from error
        answer: dict[str, Any] = {"step": name, "trace_id": trace_id, "status": "running"}
        if wait:
            end = await future
            answer["status"] = end.outcome.status if end.done else "interrupted"
            answer["error"] = end.outcome.error
            answer["duration_ms"] = end.duration_ms
        return answer

    async def pause(self, request: Request) -> Any:
        return await self._set_paused(request, True)

    async def resume(self, request: Request) -> Any:
        return await self._set_paused(request, False)

    async def _set_paused(self, request: Request, paused: bool) -> Any:
        parameters.query(request)
        service, name = await self._service(), _name(request)
        try:
            await (service.pause(name) if paused else service.resume(name))
        except UnknownStep as error:
            raise Refused(404, str(error)) from error
        return {"step": name, "paused": paused}


def _name(request: Request) -> str:
    return str(request.path_params["name"])
