"""What a request to the JSON API says: its parameters and its body, checked."""

from __future__ import annotations

import math
from typing import Any

import orjson
from starlette.requests import Request

from stepweave.http.manage.resource import Refused
from stepweave.http.request import headers, read_body

__all__ = ["body", "choice", "decoded", "limit", "number", "query", "seconds"]


def query(request: Request, *known: str) -> dict[str, str]:
    """The parameters, each once. A misspelt one is refused, lest it mean all instead of some."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            there = f"; there are: {', '.join(known)}" if known else ""
            raise Refused(400, f"there is no parameter {name[:100]!r} here{there}")
        if name in found:
            raise Refused(400, f"{name} may come once")
        found[name] = value
    return found


def limit(query: dict[str, str]) -> int:
    """How many a page holds."""
    text = query.get("limit", "100")
    limit = int(text) if _counts(text) and len(text) <= 4 else 0
    if not 1 <= limit <= 1000:
        raise Refused(400, f"limit must be a number from 1 to 1000, not {text[:100]!r}")
    return limit


def number(text: str, what: str) -> int:
    """A number that names something, such as a dead letter."""
    if not (_counts(text) and len(text) <= 18):
        raise Refused(400, f"{what} is a number, not {text[:100]!r}")
    return int(text)


def seconds(text: str, what: str) -> float:
    """A length of time that is not zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1e10:
        raise Refused(400, f"{what} must be a number of seconds over 0, not {text[:100]!r}")
    return value


def choice(query: dict[str, str], name: str, *words: str) -> str | None:
    """One of a few words, or None if it was not given."""
    text = query.get(name)
    if text is not None and text not in words:
        raise Refused(400, f"{name} is one of {', '.join(words)}, not {text[:100]!r}")
    return text


async def body(request: Request, limit: int) -> bytes:
    """The whole body, of at most `limit` bytes."""
    return await read_body(request.receive, headers(request.scope["headers"]), limit)


def decoded(body: bytes) -> Any:
    """The value of a body that is JSON."""
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from error


def _counts(text: str) -> bool:
    return text.isascii() and text.isdecimal()
