"""State below /_stepweave/api/state: groups, and their values."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from stepweave.engine.desk.browser import Browser
from stepweave.http.manage import parameters
from stepweave.http.manage.resource import ROOT, Refused, Resource

__all__ = ["NAMES", "State"]

_STATE = f"{ROOT}state/".encode()


class _Names(Convertor[str]):
    """The rest of a path; unlike that of Starlette it may hold line ends."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("names", _Names())

NAMES = "{names:names}"
"""The part of a route that holds a group, or a group and a key."""


class State:
    """A group, or a group and a key.

    Names are taken from the path as it was sent, so that they may hold an encoded slash.
    """

    def __init__(self, browser: Browser, max_body: int) -> None:
        self._browser = browser
        self._max_body = max_body
        self._group = Resource(get=self._page, delete=self._clear)
        self._value = Resource(get=self._get, put=self._put, delete=self._delete)
        self._wrong = Resource(get=_too_deep, put=_too_deep, delete=_too_deep)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        depth = scope["raw_path"].removeprefix(_STATE).count(b"/")
        resource = (self._group, self._value, self._wrong)[min(depth, 2)]
        await resource(scope, receive, send)

    async def groups(self, request: Request) -> Any:
        query = parameters.query(request, "limit", "after")
        limit = parameters.limit(query)
        found = await self._browser.groups(limit, query.get("after"))
        return {"groups": found, "next": found[-1]["group"] if len(found) == limit else None}

    async def _page(self, request: Request) -> Any:
        (group,) = _names(request)
        query = parameters.query(request, "limit", "after")
        limit = parameters.limit(query)
        found = await self._browser.page(group, limit, query.get("after"))
        after = found[-1]["key"] if len(found) == limit else None
        return {"group": group, "values": found, "next": after}

    async def _clear(self, request: Request) -> Any:
        (group,) = _names(request)
        parameters.query(request)
        return {"deleted": await self._browser.clear(group)}

    async def _get(self, request: Request) -> Any:
        group, key = _names(request)
        query = parameters.query(request, "only")
        found = _there(await self._browser.get(group, key), group, key)
        if parameters.choice(query, "only", "value") is None:
            return {"group": group, **found}
        if "problem" in found:
            raise Refused(422, f'"{key}" of "{group}": {found["problem"]}')
        return found["value"]

    async def _put(self, request: Request) -> Any:
        group, key = _names(request)
        query = parameters.query(request, "ttl_s", "version")
        ttl_s = parameters.seconds(query["ttl_s"], "ttl_s") if "ttl_s" in query else None
        body = (await parameters.body(request, self._max_body)).strip()
        parameters.decoded(body)
        version = await self._browser.set(
            group, key, ("json", body), ttl_s=ttl_s, version=query.get("version")
        )
        return {"group": group, "key": key, "version": version}

    async def _delete(self, request: Request) -> Any:
        group, key = _names(request)
        parameters.query(request)
        _there(await self._browser.delete(group, key) or None, group, key)
        return {"deleted": 1}


def _there(found: Any, group: str, key: str) -> Any:
    if found is None:
        raise Refused(404, f'the group "{group}" has no key "{key}"')
    return found


async def _too_deep(_request: Request) -> Any:
    raise Refused(404, "state has groups and keys; a slash within a name is sent as %2F")


def _names(request: Request) -> list[str]:
    parts = request.scope["raw_path"].removeprefix(_STATE).split(b"/")
    try:
        return [unquote_to_bytes(part).decode() for part in parts]
    except UnicodeDecodeError as error:
        raise Refused(400, "the names in the path are not UTF-8") from error
