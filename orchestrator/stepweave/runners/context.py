"""The orchestrator's side of a handler's context: serves emit, state, streams and logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from stepweave import payload
from stepweave.calls import Call, now_ms
from stepweave.errors import InvalidInput, StepweaveError
from stepweave.payload import Payload
from stepweave.rpc.peer import Peer, RequestHandler
from stepweave.streamed import Streamed

__all__ = ["Context", "Done", "Emitter", "LogSink", "StateService", "StreamService"]

Done = Callable[[StepweaveError | None, Any], None]
"""Called once with (error, result), perhaps before the function that took it returns."""


Ops = list[dict[str, Any]]

_LATEST_MS = 253_402_300_800_000
"""The end of the year 9999, beyond which no calendar can show a record."""


_MOST = 2**53 - 1
_HIGHEST_PRIORITY = 1000


class Emitter(Protocol):
    """The bus, as a handler sees it."""

    def emit(
        self,
        call: Call,
        topic: str,
        data: Payload | None,
        *,
        event_key: str | None,
        group: str | None,
        due_at: int | None,
        done: Done,
        priority: int | None,
    ) -> None: ...
    def cancel(self, call: Call, event: str, done: Done) -> None: ...


class StateService(Protocol):
    """The state, as a handler sees it."""

    def get(self, call: Call, group: str, key: str, done: Done) -> None: ...
    def set(
        self,
        call: Call,
        group: str,
        key: str,
        value: Payload,
        *,
        ttl_ms: int | None,
        expect: tuple[Payload | None] | None,
        done: Done,
    ) -> None: ...
    def delete(self, call: Call, group: str, key: str, done: Done) -> None: ...
    def list(
        self, call: Call, group: str, done: Done, *, after: str | None, limit: int | None
    ) -> None: ...
    def clear(self, call: Call, group: str, done: Done) -> None: ...
    def update(
        self,
        call: Call,
        group: str,
        key: str,
        ops: Ops,
        *,
        expect: tuple[Payload | None] | None,
        done: Done,
    ) -> None: ...
    def groups(self, call: Call, done: Done) -> None: ...


class StreamService(Protocol):
    """The streams, as a handler sees them."""

    def get(self, call: Call, stream: str, group: str, id: str, done: Done) -> None: ...
    def set(
        self, call: Call, stream: str, group: str, id: str, data: Payload, done: Done
    ) -> None: ...
    def update(
        self, call: Call, stream: str, group: str, id: str, ops: Ops, done: Done
    ) -> None: ...
    def delete(self, call: Call, stream: str, group: str, id: str, done: Done) -> None: ...
    def list(self, call: Call, stream: str, group: str, done: Done) -> None: ...
    def send(
        self,
        call: Call,
        stream: str,
        group: str,
        id: str | None,
        type: str,
        data: Payload | None,
        done: Done,
    ) -> None: ...


class LogSink(Protocol):
    """Where the records of handlers and of stderr go."""

    def from_step(
        self,
        call: Call | None,
        level: str,
        message: str,
        fields: bytes | None,
        at: int,
        source: str,
    ) -> None: ...
    def from_stderr(self, runner: str, line: str) -> None: ...


class Context:
    """Serves the requests of running handlers, each in the name of the call it belongs to.

    The scope in a request is the id of its invoke; the handler can name no other step's.
    """

    def __init__(self, logs: LogSink) -> None:
        self._logs = logs

    def serve(self, bus: Emitter, state: StateService, streams: StreamService) -> None:
        """Name the services; to be called before the first child starts."""
        self._bus = bus
        self._state = state
        self._streams = streams

    def requests(self, calls: Mapping[int, Call]) -> Mapping[str, RequestHandler]:
        """Handlers by method for one child, whose open invokes are `calls`."""
        table = {
            "emit": self._emit,
            "event.cancel": self._event_cancel,
            "state.get": self._state_get,
            "state.set": self._state_set,
            "state.delete": self._state_delete,
            "state.list": self._state_list,
            "state.clear": self._state_clear,
            "state.update": self._state_update,
            "state.groups": self._state_groups,
            "stream.get": self._stream_get,
            "stream.set": self._stream_set,
            "stream.update": self._stream_update,
            "stream.delete": self._stream_delete,
            "stream.list": self._stream_list,
            "stream.send": self._stream_send,
            "response.start": _response_start,
            "response.write": _response_write,
        }
        handlers: dict[str, RequestHandler] = {
            method: _scoped(calls, serve) for method, serve in table.items()
        }
        handlers["ping"] = lambda peer, request_id, _params: peer.respond(request_id, {})
        return handlers

    def log(self, calls: Mapping[int, Call], params: Mapping[str, Any]) -> None:
        """Take a log notification; a record of a closed scope is kept without its call."""
        scope = params.get("scope")
        message, at = params.get("message"), params.get("at")
        dropped = params.get("dropped")
        if dropped:
            message = f"{message} ({dropped} earlier records were dropped)"
        self._logs.from_step(
            calls.get(scope) if type(scope) is int else None,
            str(params.get("level", "info")),
            message if isinstance(message, str) else str(message),
            _log_fields(params.get("fields")),
            at if type(at) is int and 0 < at < _LATEST_MS else 0,
            str(params.get("source", "logger")),
        )

    def stderr(self, runner: str, line: str) -> None:
        """Take a line of a child's stderr."""
        self._logs.from_stderr(runner, line)

    # --- one function per method

    def _emit(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        at, delay = _int(params, "at"), _int(params, "delay_ms")
        if delay is not None:
            at = (now_ms() if at is None else at) + delay
        self._bus.emit(
            call,
            _text(params, "topic"),
            payload.check(params.get("data")),
            event_key=_optional_text(params, "id"),
            group=_optional_text(params, "group"),
            due_at=at,
            done=lambda error, event: done(error, None if error else {"event": event}),
            priority=_whole(params, "priority", -_HIGHEST_PRIORITY, _HIGHEST_PRIORITY),
        )

    def _event_cancel(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._bus.cancel(call, _text(params, "event"), done)

    def _state_get(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._state.get(call, _text(params, "group"), _text(params, "key"), done)

    def _state_set(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._state.set(
            call,
            _text(params, "group"),
            _text(params, "key"),
            _value(params, "value"),
            ttl_ms=_int(params, "ttl_ms"),
            expect=_expect(params),
            done=done,
        )

    def _state_delete(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._state.delete(call, _text(params, "group"), _text(params, "key"), done)

    def _state_list(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._state.list(
            call,
            _text(params, "group"),
            done,
            after=_optional_text(params, "after"),
            limit=_whole(params, "limit", 1, _MOST),
        )

    def _state_clear(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._state.clear(call, _text(params, "group"), done)

    def _state_update(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._state.update(
            call,
            _text(params, "group"),
            _text(params, "key"),
            _ops(params),
            expect=_expect(params),
            done=done,
        )

    def _state_groups(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._state.groups(call, done)

    def _stream_get(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._streams.get(call, *_item(params), done)

    def _stream_set(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._streams.set(call, *_item(params), _value(params, "data"), done)

    def _stream_update(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._streams.update(call, *_item(params), _ops(params), done)

    def _stream_delete(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._streams.delete(call, *_item(params), done)

    def _stream_list(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        self._streams.list(call, _text(params, "stream"), _text(params, "group"), done)

    def _stream_send(self, call: Call, params: Mapping[str, Any], done: Done) -> None:
        event = params.get("event")
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise InvalidInput('stream.send needs event: {"type": text, "data": payload}')
        self._streams.send(
            call,
            _text(params, "stream"),
            _text(params, "group"),
            _optional_text(params, "id"),
            event["type"],
            payload.check(event.get("data")),
            done,
        )


def _response_start(call: Call, params: Mapping[str, Any], done: Done) -> None:
    if call.taker is None:
        raise InvalidInput("only the answer to an HTTP request can be given in parts")
    if call.streamed is not None:
        raise InvalidInput("the answer has begun already")
    call.taker(Streamed(params.get("status"), params.get("headers"), done))


def _response_write(call: Call, params: Mapping[str, Any], done: Done) -> None:
    data = params.get("data")
    if type(data) is not bytes:
        raise InvalidInput(f"data must be bytes, not {type(data).__name__}")
    if call.streamed is None:
        raise InvalidInput("response.write needs response.start before it")
    call.streamed.write(data, done)


def _scoped(
    calls: Mapping[int, Call], serve: Callable[[Call, Mapping[str, Any], Done], None]
) -> RequestHandler:
    def handler(peer: Peer, request_id: int, params: Mapping[str, Any]) -> None:
        scope = params.get("scope")
        call = calls.get(scope) if type(scope) is int else None
        if call is None:
            peer.refuse(request_id, "unknown_scope", f"no invocation {scope!r} is running")
            return
        if call.done:
            text = f"{call.step.name} was given up; its calls are refused"
            peer.refuse(request_id, "cancelled", text)
            return

        def done(error: StepweaveError | None, result: Any) -> None:
            if error is None:
                peer.respond(request_id, result)
            else:
                peer.refuse(request_id, **error.to_wire())

        try:
            serve(call, params, done)
        except StepweaveError as error:
            peer.refuse(request_id, **error.to_wire())

    return handler


def _text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if type(value) is not str:
        raise InvalidInput(f"{name} must be a text, not {type(value).__name__} {value!r:.60}")
    return value


def _log_fields(value: Any) -> bytes | None:
    """The fields of a record as JSON; those that are none are left out, and said to be."""
    if value is None:
        return None
    try:
        kind, data = payload.check(value) or payload.NULL
        if kind == "json":
            orjson.loads(data)
            return data
    except (InvalidInput, ValueError):
        pass
    return b'{"unreadable":true}'


def _optional_text(params: Mapping[str, Any], name: str) -> str | None:
    return None if params.get(name) is None else _text(params, name)


def _int(params: Mapping[str, Any], name: str) -> int | None:
    value = params.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _LATEST_MS:
        raise InvalidInput(f"{name} must be a number of milliseconds from 0 up, not {value!r:.60}")
    return int(value)


def _whole(params: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = params.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        raise InvalidInput(
            f"{name} must be a whole number from {least} to {most}, not {value!r:.60}"
        )
    return value


def _value(params: Mapping[str, Any], name: str) -> Payload:
    value = payload.check(params.get(name))
    return payload.NULL if value is None else value


def _expect(params: Mapping[str, Any]) -> tuple[Payload | None] | None:
    return (payload.check(params["expect"]),) if "expect" in params else None


def _item(params: Mapping[str, Any]) -> tuple[str, str, str]:
    return _text(params, "stream"), _text(params, "group"), _text(params, "id")


def _ops(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    ops = params.get("ops")
    if not isinstance(ops, list | tuple) or not all(isinstance(op, dict) for op in ops):
        raise InvalidInput("ops must be a list of {op, path, value}")
    return list(ops)
