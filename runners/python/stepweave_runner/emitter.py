"""Publishes the events of a scope, and withdraws them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

from stepweave_runner import values
from stepweave_runner.errors import StepweaveError
from stepweave_runner.pending import nothing
from stepweave_runner.scope import Scope
from stepweave_runner.state import text

__all__ = ["MISSING", "cancel_event", "emit"]

MISSING: Any = object()
"""In place of data: the event has none, unless it is in the event itself."""

_USUAL = {"topic", "data"}
_SHOWN = "topic, data, id, message_group_id, group, delay, delay_seconds, at, priority"
_OPTIONS = frozenset(
    "topic data id group message_group_id messageGroupId delay delay_ms delayMs "
    "delay_seconds delaySeconds at priority".split()
)
_TIMES = "a datetime, ISO 8601 text or Unix ms"
_MOST_WARNINGS = 1000
_warned: set[tuple[str, str]] = set()


def emit(scope: Scope, event: Any, data: Any, options: dict[str, Any]) -> Any:
    """Publish an event; gives its id once it is accepted. Raises TypeError without a topic."""
    given = event if type(event) is dict and not options else _event(event, options)
    topic = given.get("topic")
    if not isinstance(topic, str) or not topic:
        raise TypeError(
            'emit needs a topic: emit({"topic": "order.created", "data": {...}}), '
            f"but got {topic!r:.80} as topic"
        )
    params: dict[str, Any] = {"topic": topic, "data": None}
    if data is MISSING:
        data = given.get("data", MISSING)
    if data is not MISSING:
        try:
            params["data"] = values.encode(data)
        except StepweaveError as error:
            raise StepweaveError(error.code, f"emit {topic}: data: {error}") from None
    if not given.keys() <= _USUAL:
        _add_options(scope, params, given)
    return scope.request("emit", params, _event_id)


def cancel_event(scope: Scope, id: str) -> Any:
    """Withdraw an event, given by the id that emit gave.

    Gives how many of its deliveries will not run now. Those that have run or run just now are
    not among them. In an atomic step that is not known before its end, and None.
    """
    if not isinstance(id, str):
        raise TypeError(f"cancel_event needs the id that emit gave, but got {id!r:.80}")
    return scope.request("event.cancel", {"event": id}, nothing)


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


def _add_options(scope: Scope, params: dict[str, Any], given: Mapping[str, Any]) -> None:
    for key in given:
        if key not in _OPTIONS:
            _ignore(scope, str(key))
    group = _first(given, "message_group_id", "messageGroupId", "group")
    if group is not None:
        params["group"] = text("emit", "group", group)
    if given.get("id") is not None:
        params["id"] = text("emit", "id", given["id"])
    delay = _first(given, "delay", "delay_ms", "delayMs")
    seconds = _first(given, "delay_seconds", "delaySeconds")
    if delay is not None:
        params["delay_ms"] = _milliseconds("delay", delay, 1)
    elif seconds is not None:
        params["delay_ms"] = _milliseconds("delay_seconds", seconds, 1000)
    if given.get("at") is not None:
        params["at"] = _time(given["at"])
    priority = given.get("priority")
    if priority is not None:
        if type(priority) is not int or abs(priority) > 1000:
            raise TypeError(
                f"emit takes priority as a whole number from -1000 to 1000, not {priority!r:.80}"
            )
        params["priority"] = priority


def _ignore(scope: Scope, key: str) -> None:
    """Say once per step and key that an option does nothing, since it may be misspelled."""
    if (scope.step, key) in _warned or len(_warned) >= _MOST_WARNINGS:
        return
    _warned.add((scope.step, key))
    scope.log("warn", f'emit has no option "{key}", which was ignored; it takes {_SHOWN}')


def _first(given: Mapping[str, Any], *names: str) -> Any:
    return next((given[name] for name in names if given.get(name) is not None), None)


def _milliseconds(name: str, value: Any, factor: int) -> int:
    if isinstance(value, datetime.timedelta):
        return round(value.total_seconds() * 1000)
    return _whole(name, "a number or a timedelta", value, factor)


def _time(at: Any) -> int:
    """Unix milliseconds of a datetime (local time if naive), ISO 8601 text, or milliseconds."""
    if isinstance(at, str):
        iso = at[:-1] + "+00:00" if at.endswith(("z", "Z")) else at
        try:
            at = datetime.datetime.fromisoformat(iso)
        except ValueError:
            raise TypeError(f"emit takes at as {_TIMES}, not {at!r:.80}") from None
    if isinstance(at, datetime.datetime):
        return round(at.timestamp() * 1000)
    return _whole("at", _TIMES, at, 1)


def _whole(name: str, form: str, value: Any, factor: int) -> int:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise TypeError(f"emit takes {name} as {form}, not {value!r:.80}")
    rounded: int = round(value * factor)
    return rounded


def _event_id(error: Any, result: Any) -> Any:
    answer = nothing(error, result)
    return answer.get("event") if isinstance(answer, dict) else None
