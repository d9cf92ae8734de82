"""What handlers are given: an HTTP request, an event's data, a tick of the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stepweave_runner import values

__all__ = ["INPUTS", "Request"]

_SPELLINGS = {"path_params": "pathParams", "query_params": "queryParams", "raw_body": "rawBody"}


class Request(dict[str, Any]):
    """A request with keys and attributes: body, headers, pathParams or path_params, queryParams
    or query_params, method, path, and the text of the body as rawBody or raw_body.
    """

    __slots__ = ("_payload",)

    def __init__(self, given: Mapping[str, Any]) -> None:
        payload = given.get("body")
        super().__init__(
            body={} if payload is None else values.decode(payload),
            headers=given.get("headers") or {},
            pathParams=given.get("params") or {},
            queryParams=given.get("query") or {},
            method=given.get("method", ""),
            path=given.get("path", ""),
        )
        self._payload = payload

    def __missing__(self, name: str) -> Any:
        if name == "rawBody":
            raw = b"" if self._payload is None else self._payload[1]
            self[name] = text = raw.decode("utf-8", "replace")
            return text
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
        return super().__contains__(name) or name == "rawBody" or name in _SPELLINGS

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a request has no {name!r}; it has {', '.join(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_payload":
            super().__setattr__(name, value)
        else:
            self[_SPELLINGS.get(name, name)] = value


def _event(given: Mapping[str, Any]) -> Any:
    return values.decode(given.get("data"))


INPUTS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "api": Request,
    "event": _event,
    "cron": dict,
}
"""By the kind of the invocation, what makes the handler's first argument of the input.
Raises InvalidPayload for data that cannot be read."""
