"""What handlers are given: an HTTP request, an event's data, a tick of the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stepweave_runner import values
from stepweave_runner.files import Files

__all__ = ["INPUTS", "Request", "revised"]

_SPELLINGS = {"path_params": "pathParams", "query_params": "queryParams", "raw_body": "rawBody"}


def _raw_body(given: Mapping[str, Any]) -> str:
    raw, payload = given.get("raw"), given.get("body")
    if raw is None:
        # A form with files is not kept as it came.
        raw = b"" if payload is None or given.get("files") is not None else payload[1]
    text: str = raw.decode("utf-8", "replace")
    return text


_LATE: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "rawBody": _raw_body,
    "cookies": lambda given: given.get("cookies") or {},
    "files": lambda given: Files(given.get("files") or ()),
}
"""What is made of the input when it is first asked for."""


class Request(dict[str, Any]):
    """A request with keys and attributes: body, headers, pathParams or path_params, queryParams
    or query_params, method, path, url, ip, cookies, files, and the text of the body as it was sent
    as rawBody or raw_body.
    """

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, Any]) -> None:
        payload = given.get("body")
        super().__init__(
            body={} if payload is None else values.decode(payload),
            headers=given.get("headers") or {},
            pathParams=given.get("params") or {},
            queryParams=given.get("query") or {},
            method=given.get("method", ""),
            path=given.get("path", ""),
            url=given.get("url") or given.get("path", ""),
            ip=given.get("ip"),
        )
        self._given = given

    def __missing__(self, name: str) -> Any:
        make = _LATE.get(name)
        if make is not None:
            self[name] = value = make(self._given)
            return value
        other = _SPELLINGS.get(name)
        if other is None:
            raise KeyError(name)
        return self[other]

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in _LATE or name in _SPELLINGS

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a request has no {name!r}; it has {', '.join(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_given":
            super().__setattr__(name, value)
        else:
            self[_SPELLINGS.get(name, name)] = value


def revised(request: Any, changed: Any) -> Any:
    """What middleware hands on in place of a request: a plain dict gets a request's attributes."""
    if not isinstance(request, Request) or type(changed) is not dict:
        return changed
    result = Request(request._given)
    result.clear()
    result.update(changed)
    return result


def _event(given: Mapping[str, Any]) -> Any:
    return values.decode(given.get("data"))


INPUTS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "api": Request,
    "event": _event,
    "cron": dict,
}
"""By the kind of the invocation, what makes the handler's first argument of the input.
Raises InvalidPayload for data that cannot be read."""
