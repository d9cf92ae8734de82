"""What a handler gets as its context: emit, logger, state, streams and facts about this run."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from stepweave_runner import values
from stepweave_runner.errors import StepweaveError
from stepweave_runner.logger import Logger
from stepweave_runner.pending import nothing
from stepweave_runner.scope import Scope
from stepweave_runner.state import State
from stepweave_runner.streams import Streams

__all__ = ["Context"]

_NAMES = (
    *("emit", "logger", "state", "streams", "trace_id", "traceId", "flows", "attempt"),
    *("deadline_ms", "cancelled", "cancel_reason"),
)
_USUAL = {"topic", "data"}
_MISSING: Any = object()


class _Lazy:
    """An attribute that is made when it is first asked for, then stays."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, context: Any, owner: type) -> Any:
        if context is None:
            return self
        value = context.__dict__[self._name] = self._make(context)
        return value


class Context(MutableMapping[str, Any]):
    """`context.logger` and `context["logger"]` are the same. Middleware may add entries."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    logger = _Lazy(lambda context: Logger(context._scope))
    state = _Lazy(lambda context: State(context._scope))
    streams = _Lazy(lambda context: Streams(context._scope))
    trace_id = _Lazy(lambda context: context._scope.trace_id)
    traceId = _Lazy(lambda context: context._scope.trace_id)
    flows = _Lazy(lambda context: list(context._scope.flows))
    attempt = _Lazy(lambda context: context._scope.params.get("attempt", 1))
    deadline_ms = _Lazy(lambda context: context._scope.params.get("deadline_ms"))

    @property
    def cancelled(self) -> bool:
        """Whether the invocation was cancelled: for loops that call nothing Python could stop."""
        return self._scope.cancelled is not None

    @property
    def cancel_reason(self) -> str | None:
        """Why it was cancelled ("timeout", "shutdown", "client"), or None."""
        return self._scope.cancelled

    def emit(self, event: Any = None, data: Any = _MISSING, /, **options: Any) -> Any:
        """Publish an event: `emit({"topic": …, "data": …})`, `emit("topic", data)`, or by keywords.

        Options: id, group (or message_group_id), delay in ms, delay_seconds, at.
        Gives the event's id once it is accepted. Raises TypeError without a topic.
        """
        given = event if type(event) is dict and not options else _event(event, options)
        topic = given.get("topic")
        if not isinstance(topic, str) or not topic:
            raise TypeError(
                'emit needs a topic: emit({"topic": "order.created", "data": {...}}), '
                f"but got {topic!r:.80} as topic"
            )
        params: dict[str, Any] = {"topic": topic, "data": None}
        if data is _MISSING:
            data = given.get("data", _MISSING)
        if data is not _MISSING:
            try:
                params["data"] = values.encode(data)
            except StepweaveError as error:
                raise StepweaveError(error.code, f"emit {topic}: data: {error}") from None
        if not given.keys() <= _USUAL:
            _add_options(params, given)
        return self._scope.request("emit", params, _event_id)

    def __getitem__(self, name: str) -> Any:
        if (
            isinstance(name, str)
            and not name.startswith("_")
            and (name in _NAMES or name in self.__dict__)
        ):
            return getattr(self, name)
        raise KeyError(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value

    def __delitem__(self, name: str) -> None:
        try:
            del self.__dict__[name]
        except KeyError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        yield from _NAMES
        yield from [name for name in self.__dict__ if name not in _NAMES and name[0] != "_"]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<context of {self._scope.step}, trace {self._scope.trace_id}>"

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def _event(event: Any, options: dict[str, Any]) -> dict[str, Any]:
    if event is None:
        return options
    if isinstance(event, str):
        return {"topic": event, **options}
    if isinstance(event, Mapping):
        return {**event, **options}
    simpler = values.simplify(event)
    if isinstance(simpler, Mapping):
        return {**simpler, **options}
    raise TypeError(
        'emit needs an event: emit({"topic": "order.created", "data": {...}}), '
        f"but got a {type(event).__name__}"
    )


def _add_options(params: dict[str, Any], given: Mapping[str, Any]) -> None:
    group = _first(given, "group", "message_group_id", "messageGroupId")
    if group is not None:
        params["group"] = str(group)
    if given.get("id") is not None:
        params["id"] = str(given["id"])
    seconds = _first(given, "delay_seconds", "delaySeconds")
    delay = _first(given, "delay", "delay_ms", "delayMs")
    if seconds is not None:
        delay = seconds * 1000 if not isinstance(seconds, datetime.timedelta) else seconds
    if isinstance(delay, datetime.timedelta):
        delay = delay.total_seconds() * 1000
    if delay is not None:
        params["delay_ms"] = round(delay)
    if given.get("at") is not None:
        params["at"] = _time(given["at"])


def _first(given: Mapping[str, Any], *names: str) -> Any:
    return next((given[name] for name in names if given.get(name) is not None), None)


def _time(at: Any) -> int:
    """Unix milliseconds of a datetime (local time if naive), ISO 8601 text, or milliseconds."""
    if isinstance(at, str):
        at = datetime.datetime.fromisoformat(at[:-1] + "+00:00" if at[-1:] in "zZ" else at)
    if isinstance(at, datetime.datetime):
        return round(at.timestamp() * 1000)
    if isinstance(at, (int, float)) and not isinstance(at, bool):
        return round(at)
    raise TypeError(f"emit takes at as a datetime, ISO 8601 text or Unix ms, not {at!r:.80}")


def _event_id(error: Any, result: Any) -> Any:
    answer = nothing(error, result)
    return answer.get("event") if isinstance(answer, dict) else None
