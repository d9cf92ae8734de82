"""Dead letters below /_stepweave/api/dead."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from stepweave import payload
from stepweave.engine.desk.letters import Edit, Letters
from stepweave.http.manage import parameters
from stepweave.http.manage.resource import Refused

__all__ = ["Dead"]


class Dead:
    """Listed, shown, delivered anew, discarded; bodies may have `max_body` bytes."""

    def __init__(self, letters: Letters, max_body: int) -> None:
        self._letters = letters
        self._max_body = max_body

    async def list(self, request: Request) -> Any:
        query = parameters.query(request, "limit", "before", "step")
        limit = parameters.limit(query)
        before = parameters.number(query["before"], "before") if "before" in query else None
        found = await self._letters.list(limit, before, query.get("step"))
        return {"dead": found, "next": found[-1]["id"] if len(found) == limit else None}

    async def show(self, request: Request) -> Any:
        parameters.query(request)
        id = _id(request)
        return _there(await self._letters.show(id), id)

    async def retry(self, request: Request) -> Any:
        parameters.query(request)
        id = _id(request)
        edit = _edit(await parameters.body(request, self._max_body))
        return {"event": _there(await self._letters.retry(id, edit), id)}

    async def discard(self, request: Request) -> Any:
        parameters.query(request)
        id = _id(request)
        _there(await self._letters.discard(id), id)
        return {"discarded": 1}

    async def retry_all(self, request: Request) -> Any:
        query = parameters.query(request, "step")
        if await parameters.body(request, self._max_body):
            raise Refused(400, "data can only be changed for one dead letter at a time")
        return {"retried": await self._letters.retry_all(query.get("step"))}

    async def discard_all(self, request: Request) -> Any:
        query = parameters.query(request, "step")
        return {"discarded": await self._letters.discard_all(query.get("step"))}


def _id(request: Request) -> int:
    return parameters.number(request.path_params["id"], "the id of a dead letter")


def _there(found: Any, id: int) -> Any:
    if not found:
        raise Refused(404, f"there is no dead letter {id}")
    return found


def _edit(body: bytes) -> Edit:
    if not body.strip():
        return None
    value = parameters.decoded(body)
    if not isinstance(value, dict) or value.keys() != {"data"}:
        raise Refused(400, 'the body must be empty, or {"data": …} to deliver other data')
    return (payload.encode(value["data"]),)
