"""What a handler gets as its context: emit, logger, state, streams and facts about this run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from stepweave_runner.emitter import MISSING, cancel_event, emit
from stepweave_runner.logger import Logger
from stepweave_runner.scope import Scope
from stepweave_runner.sse import sse
from stepweave_runner.state import State
from stepweave_runner.streams import Streams

__all__ = ["Context"]

_NAMES = (
    *("emit", "logger", "state", "streams", "trace_id", "traceId", "flows", "attempt"),
    *("events", "deadline", "remaining_ms", "remainingMs", "cancelled", "cancel_reason"),
    *("cancel_event", "cancelEvent", "sse"),
)


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
    events = _Lazy(lambda context: _events(context._scope))
    deadline = _Lazy(lambda context: context._deadline.time)
    _deadline = _Lazy(lambda context: context._scope.deadline())

    @property
    def cancelled(self) -> bool:
        """Whether the invocation was cancelled: for loops that call nothing Python could stop."""
        return self._scope.cancelled is not None

    @property
    def cancel_reason(self) -> str | None:
        """Why it was cancelled ("timeout", "shutdown", "client"), or None."""
        return self._scope.cancelled

    def remaining_ms(self) -> float:
        """Milliseconds until the deadline, 0 when it has passed, infinity without one."""
        remaining: float = self._deadline.remaining_ms()
        return remaining

    remainingMs = remaining_ms

    def emit(self, event: Any = None, data: Any = MISSING, /, **options: Any) -> Any:
        """Publish an event: `emit({"topic": …, "data": …})`, `emit("topic", data)`, or by keywords.

        Options: id, message_group_id (or group), delay in ms, delay_seconds, at, priority.
        Gives the event's id once it is accepted. Raises TypeError without a topic.
        """
        return emit(self._scope, event, data, options)

    def cancel_event(self, id: str) -> Any:
        """Withdraw an event by the id that emit gave; gives how many deliveries will not run."""
        return cancel_event(self._scope, id)

    cancelEvent = cancel_event

    def sse(self, events: Any, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The response of an API step that is a stream of server-sent events.

        `events` is a list, generator or async generator of {"data", "event"?, "id"?, "retry"?}.
        """
        return sse(events, headers)

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


def _events(scope: Scope) -> list[dict[str, Any]]:
    given = scope.params.get("input", {}).get("events") or ()
    return [{"id": one["event"], "topic": one["topic"], "attempt": one["attempt"]} for one in given]
