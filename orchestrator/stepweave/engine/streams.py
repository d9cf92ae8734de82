"""Streams as handlers use them: durable items by stream, group and id, and their changes."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, NamedTuple

from stepweave import payload
from stepweave.calls import Call, now_ms
from stepweave.engine.store.contract import Store
from stepweave.engine.store.operations import StreamDelete, StreamSet, StreamUpdate
from stepweave.errors import StepweaveError, UnknownStream
from stepweave.payload import Payload

__all__ = ["Change", "Streams"]

Done = Callable[[StepweaveError | None, Any], None]


class Change(NamedTuple):
    """What happened to a stream. `type` is create, update, delete or event; `seq` counts per
    group and is 0 for an event, which is sent and not kept; `name` is an event's own type."""

    stream: str
    group: str
    id: str | None
    type: str
    data: Payload | None
    seq: int
    at: int
    name: str | None = None


class Streams:
    """Serves `context.streams` and tells listeners of each committed change, in order."""

    def __init__(self, store: Store, known: Callable[[str], bool]) -> None:
        self._store = store
        self._known = known
        self.listeners: list[Callable[[Change], None]] = []

    def get(self, call: Call, stream: str, group: str, id: str, done: Done) -> None:
        """`done` gets the item or None."""
        self._begin(call, "get", stream, group, id)
        store = call.transaction or self._store
        call.wrote = store.last_sequence
        store.stream_get(stream, group, id, done)

    def list(self, call: Call, stream: str, group: str, done: Done) -> None:
        """`done` gets [(id, item), …] in order of creation."""
        self._begin(call, "getGroup", stream, group, "")
        store = call.transaction or self._store
        call.wrote = store.last_sequence
        store.stream_list(stream, group, done)

    def set(self, call: Call, stream: str, group: str, id: str, data: Payload, done: Done) -> None:
        """Write an item; `done` gets it as stored, with its id."""
        self._begin(call, "set", stream, group, id)
        op = StreamSet(stream, group, id, _with_id(data, id), now_ms())
        self._submit(call, op, self._changed(op), lambda result: done(None, result[2]), done)

    def update(
        self,
        call: Call,
        stream: str,
        group: str,
        id: str,
        ops: builtins.list[dict[str, Any]],
        done: Done,
    ) -> None:
        """Change an item in place, atomically; `done` gets the new one."""
        self._begin(call, "update", stream, group, id)
        keep_id = {"op": "set", "path": ["id"], "value": payload.encode(id)}
        op = StreamUpdate(stream, group, id, [*ops, keep_id], now_ms())
        self._submit(call, op, self._changed(op), lambda result: done(None, result[2]), done)

    def delete(self, call: Call, stream: str, group: str, id: str, done: Done) -> None:
        """Remove an item; `done` gets what was there or None."""
        self._begin(call, "delete", stream, group, id)
        op = StreamDelete(stream, group, id, now_ms())

        def deleted(result: Any) -> None:
            if result is not None:
                seq, previous = result
                self._tell(Change(stream, group, id, "delete", previous, seq, op.at))

        def answer(result: Any) -> None:
            done(None, None if result is None else result[1])

        self._submit(call, op, deleted, answer, done)

    def send(
        self,
        call: Call,
        stream: str,
        group: str,
        id: str | None,
        type: str,
        data: Payload | None,
        done: Done,
    ) -> None:
        """Send an event of the author's own type to those who listen now; nothing is kept."""
        self._begin(call, "send", stream, group, id or "")
        change = Change(stream, group, id, "event", data, 0, now_ms(), type)
        if call.transaction is None:
            self._tell(change)
        else:
            call.transaction.afterwards(lambda: self._tell(change))
        done(None, None)

    def _begin(self, call: Call, operation: str, stream: str, group: str, id: str) -> None:
        if not self._known(stream):
            raise UnknownStream(
                f'there is no stream "{stream}"; add a stream file whose config has this name'
            )
        call.span.add("stream", operation, stream, group, id, 0)

    def _submit(
        self,
        call: Call,
        op: StreamSet | StreamUpdate | StreamDelete,
        changed: Callable[[Any], None],
        answer: Callable[[Any], None],
        done: Done,
    ) -> None:
        """Write; `answer` gets the result at once in an atomic call, `changed` when it counts."""
        transaction = call.transaction

        def written(error: StepweaveError | None, results: Any) -> None:
            if error is not None:
                done(error, None)
                return
            if transaction is None:
                changed(results[0])
            answer(results[0])

        if transaction is None:
            call.wrote = self._store.submit((op,), written)
        else:
            transaction.submit((op,), written, changed)

    def _changed(self, op: StreamSet | StreamUpdate) -> Callable[[Any], None]:
        def changed(result: Any) -> None:
            created, seq, value = result
            kind = "create" if created else "update"
            self._tell(Change(op.stream, op.group, op.id, kind, value, seq, op.at))

        return changed

    def _tell(self, change: Change) -> None:
        for listener in self.listeners:
            listener(change)


def _with_id(data: Payload, id: str) -> Payload:
    """The item with its id inside, which every client of a stream relies on."""
    value = payload.decode(data)
    if not isinstance(value, dict):
        return data
    return payload.encode({**value, "id": id})
