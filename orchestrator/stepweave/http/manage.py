"""The JSON API that changes things: dead letters delivered anew, state read and written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stepweave import payload
from stepweave.engine.browser import Browser
from stepweave.engine.letters import Edit, Letters
from stepweave.errors import InvalidInput, StoreFailed, TooLarge
from stepweave.http.request import ClientGone, headers, read_body

__all__ = ["ROOT", "routes"]

ROOT = "/_stepweave/api/"

_STATE = b"/_stepweave/api/state/"

Serve = Callable[[Request], Awaitable[Any]]


class _Refused(Exception):
    """A request that cannot be met, with the status that says so."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Resource:
    """One path: a function for each method, whose result is the JSON of the answer."""

    def __init__(self, **serve: Serve) -> None:
        self._serve = {name.upper(): each for name, each in serve.items()}
        if "GET" in self._serve:
            self._serve = {"GET": self._serve["GET"], "HEAD": self._serve["GET"], **self._serve}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientGone:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        allowed = ", ".join(self._serve)
        serve = self._serve.get(request.method)
        if serve is None:
            path = request.scope["raw_path"].decode("latin-1")
            text = f"{path} answers {allowed}, not {request.method}"
            return _json({"error": text}, 405, {"allow": allowed})
        try:
            return _json(await serve(request))
        except _Refused as refusal:
            return _json({"error": str(refusal)}, refusal.status)
        except InvalidInput as error:
            return _json({"error": str(error)}, 400)
        except TooLarge as error:
            return _json({"error": str(error)}, 413)
        except StoreFailed as error:
            return _json({"error": str(error)}, 503)


def routes(letters: Letters, state: Browser, max_body: int) -> list[Route]:
    """The routes below /_stepweave/api; bodies may have `max_body` bytes."""
    desk = _Desk(letters, max_body)
    shelf = _Shelf(state, max_body)
    return [
        Route(f"{ROOT}dead", _Resource(get=desk.list)),
        Route(f"{ROOT}dead/retry", _Resource(post=desk.retry_all)),
        Route(f"{ROOT}dead/discard", _Resource(post=desk.discard_all)),
        Route(f"{ROOT}dead/{{id}}", _Resource(get=desk.show, delete=desk.discard)),
        Route(f"{ROOT}dead/{{id}}/retry", _Resource(post=desk.retry)),
        Route(f"{ROOT}state", _Resource(get=shelf.groups)),
        Route(f"{ROOT}state/{{names:path}}", shelf),
    ]


class _Desk:
    """Dead letters."""

    def __init__(self, letters: Letters, max_body: int) -> None:
        self._letters = letters
        self._max_body = max_body

    async def list(self, request: Request) -> Any:
        query = _query(request, "limit", "before")
        limit = _limit(query)
        before = _id(query["before"], "before") if "before" in query else None
        found = await self._letters.list(limit, before)
        return {"dead": found, "next": found[-1]["id"] if len(found) == limit else None}

    async def show(self, request: Request) -> Any:
        _query(request)
        id = _letter(request)
        return _there(await self._letters.show(id), id)

    async def retry(self, request: Request) -> Any:
        _query(request)
        id = _letter(request)
        edit = _edit(await _body(request, self._max_body))
        return {"event": _there(await self._letters.retry(id, edit), id)}

    async def discard(self, request: Request) -> Any:
        _query(request)
        id = _letter(request)
        _there(await self._letters.discard(id), id)
        return {"discarded": 1}

    async def retry_all(self, request: Request) -> Any:
        query = _query(request, "step")
        if await _body(request, self._max_body):
            raise _Refused(400, "data can only be changed for one dead letter at a time")
        return {"retried": await self._letters.retry_all(query.get("step"))}

    async def discard_all(self, request: Request) -> Any:
        query = _query(request, "step")
        return {"discarded": await self._letters.discard_all(query.get("step"))}


class _Shelf:
    """State below /_stepweave/api/state/: a group, or a group and a key.

    Names are taken from the path as it was sent, so that they may hold an encoded slash.
    """

    def __init__(self, state: Browser, max_body: int) -> None:
        self._state = state
        self._max_body = max_body
        self._group = _Resource(get=self._page, delete=self._clear)
        self._value = _Resource(get=self._get, put=self._put, delete=self._delete)
        self._wrong = _Resource(get=_too_deep, put=_too_deep, delete=_too_deep)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        depth = scope["raw_path"].removeprefix(_STATE).count(b"/")
        resource = (self._group, self._value, self._wrong)[min(depth, 2)]
        await resource(scope, receive, send)

    async def groups(self, request: Request) -> Any:
        query = _query(request, "limit", "after")
        limit = _limit(query)
        found = await self._state.groups(limit, query.get("after"))
        return {"groups": found, "next": found[-1]["group"] if len(found) == limit else None}

    async def _page(self, request: Request) -> Any:
        (group,) = _names(request)
        query = _query(request, "limit", "after")
        limit = _limit(query)
        found = await self._state.page(group, limit, query.get("after"))
        after = found[-1]["key"] if len(found) == limit else None
        return {"group": group, "values": found, "next": after}

    async def _clear(self, request: Request) -> Any:
        (group,) = _names(request)
        _query(request)
        return {"deleted": await self._state.clear(group)}

    async def _get(self, request: Request) -> Any:
        group, key = _names(request)
        _query(request)
        found = await self._state.get(group, key)
        if found is None:
            raise _Refused(404, f'the group "{group}" has no key "{key}"')
        return {"group": group, **found}

    async def _put(self, request: Request) -> Any:
        group, key = _names(request)
        _query(request)
        body = (await _body(request, self._max_body)).strip()
        _decoded(body)
        await self._state.set(group, key, ("json", body))
        return {"group": group, "key": key}

    async def _delete(self, request: Request) -> Any:
        group, key = _names(request)
        _query(request)
        if not await self._state.delete(group, key):
            raise _Refused(404, f'the group "{group}" has no key "{key}"')
        return {"deleted": 1}


async def _too_deep(_request: Request) -> Any:
    raise _Refused(404, "state has groups and keys; a slash within a name is sent as %2F")


def _json(content: Any, status: int = 200, head: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, head, media_type="application/json")


def _names(request: Request) -> list[str]:
    parts = request.scope["raw_path"].removeprefix(_STATE).split(b"/")
    try:
        return [unquote_to_bytes(part).decode() for part in parts]
    except UnicodeDecodeError as error:
        raise _Refused(400, "the names in the path are not UTF-8") from error


def _query(request: Request, *known: str) -> dict[str, str]:
    """The parameters, each once. A misspelt one is refused, lest it mean all instead of some."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            there = f"; there are: {', '.join(known)}" if known else ""
            raise _Refused(400, f"there is no parameter {name[:100]!r} here{there}")
        if name in found:
            raise _Refused(400, f"{name} may come once")
        found[name] = value
    return found


def _limit(query: dict[str, str]) -> int:
    text = query.get("limit", "100")
    limit = int(text) if text.isdecimal() and len(text) <= 4 else 0
    if not 1 <= limit <= 1000:
        raise _Refused(400, f"limit must be a number from 1 to 1000, not {text[:100]!r}")
    return limit


def _letter(request: Request) -> int:
    return _id(request.path_params["id"], "the id of a dead letter")


def _id(text: str, what: str) -> int:
    if not (text.isdecimal() and len(text) <= 18):
        raise _Refused(400, f"{what} is a number, not {text[:100]!r}")
    return int(text)


def _there(found: Any, id: int) -> Any:
    if not found:
        raise _Refused(404, f"there is no dead letter {id}")
    return found


async def _body(request: Request, limit: int) -> bytes:
    return await read_body(request.receive, headers(request.scope["headers"]), limit)


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise _Refused(400, f"the body is not JSON: {error}") from error


def _edit(body: bytes) -> Edit:
    if not body.strip():
        return None
    value = _decoded(body)
    if not isinstance(value, dict) or value.keys() != {"data"}:
        raise _Refused(400, 'the body must be empty, or {"data": …} to deliver other data')
    return (payload.encode(value["data"]),)
