"""What handlers give, as it is answered: a response for HTTP, or a value for people to see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stepweave_runner import values
from stepweave_runner.errors import InvalidPayload, StepweaveError
from stepweave_runner.scope import Scope
from stepweave_runner.streaming import Streamed, is_stream

__all__ = ["RESULTS", "InvalidResponse", "InvalidResult"]


_NO_PARTS = "this orchestrator takes no answers in parts; return the body as a whole"
_WANTED = 'an API step returns {"status": 200, "body": …}'


class InvalidResponse(Exception):
    """An API handler did not give a response."""


class InvalidResult(InvalidPayload):
    """What an API handler gave holds a value without a form on the wire."""


def _event_result(value: Any, scope: Scope) -> Any:
    """What an event or cron handler gave, for people to see; nil if it cannot travel."""
    if value is None:
        return None
    try:
        return values.encode(value)
    except StepweaveError as error:
        scope.log("debug", f"the result of {scope.step} is not kept: {error}")
        return None


def _api_result(value: Any, scope: Scope) -> dict[str, Any] | Streamed:
    """The status, headers and body of a response. Raises InvalidResponse or InvalidResult."""
    if type(value) is not dict:
        value = _mapping(value)
    status = value.get("status")
    if type(status) is not int:
        status = _status(status)
    body = None
    headers = value.get("headers")
    sent = _headers(headers) if headers else {}
    if "body" in value:
        body = value["body"]
        if type(body) is str:
            body = ["text", body.encode("utf-8", "backslashreplace")]
        elif isinstance(body, (bytes, bytearray, memoryview)):
            body = ["bytes", bytes(body)]
        elif type(body) is not dict and is_stream(body):
            if not scope.peer.streaming:
                raise InvalidResponse(_NO_PARTS)
            return Streamed(status, sent, body)
        else:
            try:
                body = values.encode_json(body)
            except InvalidPayload as error:
                raise InvalidResult(f"the body of the response: {error}") from None
    return {"status": status, "headers": sent, "body": body}


def _mapping(value: Any) -> Mapping[str, Any]:
    simpler = value if isinstance(value, Mapping) else values.simplify(value)
    if isinstance(simpler, Mapping):
        return simpler
    what = "nothing" if value is None else f"a {type(value).__name__}"
    raise InvalidResponse(f"{_WANTED}, not {what}")


def _status(status: Any) -> int:
    """An integer of another type, such as http.HTTPStatus or one of numpy's."""
    if not isinstance(status, bool) and hasattr(type(status), "__index__"):
        return int(status)
    raise InvalidResponse(f"{_WANTED} with an integer status, not {status!r:.80}")


def _headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(headers, Mapping):
        raise InvalidResponse(f"the headers of a response are a dict, not {headers!r:.80}")
    return {
        str(name): [_text(name, item) for item in value]
        if isinstance(value, (list, tuple))
        else _text(name, value)
        for name, value in headers.items()
        if value is not None
    }


RESULTS: dict[str, Callable[[Any, Scope], Any]] = {
    "api": _api_result,
    "event": _event_result,
    "cron": _event_result,
}
"""By the kind of the invocation, what makes the result of (what the handler gave, scope)."""


def _text(name: Any, value: Any) -> str:
    """A header's value as text; true and false as every language writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        raise InvalidResponse(f"the header {name} is a text or a list of texts, not {value!r:.80}")
    return str(value)
