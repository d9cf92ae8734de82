"""What an atomic handler reads and writes, kept apart until it is committed with its success."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from stepweave.engine.locks import Holder, Key, Locks
from stepweave.engine.store import patch
from stepweave.engine.store.contract import Done, Store
from stepweave.engine.store.matching import require
from stepweave.engine.store.operations import (
    Cancel,
    Expect,
    Operation,
    PutEvent,
    StateClear,
    StateDelete,
    StateSet,
    StateUpdate,
    StreamDelete,
    StreamSet,
    StreamUpdate,
)
from stepweave.errors import Conflict, GivenUp, StepweaveError
from stepweave.payload import Payload

__all__ = ["CONTENDED", "Effect", "Transaction"]

CONTENDED = "contended"
"""The error code of a run that got in another's way and is run again."""

Effect = Callable[[Any], None]
"""What follows a commit, with the operation's result."""

_Then = Callable[[Any], None]


class Transaction:
    """A view of the store for one call: it reads its own writes, and nobody else does.

    It has the reads of the store, and `submit` for one operation, which answers at once. What
    it writes is locked against other transactions until the end; what it has read must still be
    there when it commits. Operations take effect in the order of the calls.
    """

    last_sequence = 0
    """Nothing that it answers has to be on disk before its end."""

    def __init__(self, store: Store, locks: Locks) -> None:
        self._store = store
        self._locks = locks
        self._holder = Holder()
        self._operations: list[Operation] = []
        self._effects: list[tuple[int, Effect]] = []
        self._afterwards: list[Callable[[], None]] = []
        self._written: dict[Key, Payload | None] = {}
        self._cleared: set[str] = set()
        self._seen: dict[Key, Payload | None] = {}
        self._seen_groups: dict[tuple[str | None, str], list[tuple[str, Payload]]] = {}
        self._tasks: deque[tuple[Callable[[], None], Done]] = deque()
        self._busy = False
        self._running = False
        self._over = False
        self.contended = False
        """Whether another transaction stood in its way: it is to be run again."""

    # --- as a store

    def submit(
        self, operations: Sequence[Operation], done: Done, effect: Effect | None = None
    ) -> int:
        """Take one operation; `done(error, [result])` as it is seen within the transaction.

        Results of streams are (None, 0, value) and that of a cancellation is None: the rest is
        known only to `effect`, which gets the result once it is committed.
        """
        (op,) = operations
        self._queue(lambda: self._take(op, done, effect), done)
        return 0

    def state_get(self, group: str, key: str, done: Done) -> None:
        """See Store.state_get."""
        self._queue(lambda: self._value((None, group, key), done, self._answer(done)), done)

    def state_list(
        self, group: str, done: Done, after: str | None = None, limit: int | None = None
    ) -> None:
        """See Store.state_list."""

        def page(rows: list[tuple[str, Payload]]) -> None:
            following = [row for row in rows if after is None or row[0] > after]
            self._answer(done)(following[:limit])

        self._queue(lambda: self._group(None, group, done, page), done)

    def state_groups(self, done: Done) -> None:
        """See Store.state_groups; what other calls do to the list of names is not guarded."""

        def read(error: StepweaveError | None, names: Any) -> None:
            if error is not None:
                self._refuse(done, error)
                return
            own = {group for (stream, group, _), v in self._written.items() if stream is None and v}
            gone = {group for group in self._cleared if group not in own}
            self._answer(done)(sorted({*names, *own} - gone))

        self._queue(lambda: self._store.state_groups(read), done)

    def stream_get(self, stream: str, group: str, id: str, done: Done) -> None:
        """See Store.stream_get."""
        self._queue(lambda: self._value((stream, group, id), done, self._answer(done)), done)

    def stream_list(self, stream: str, group: str, done: Done) -> None:
        """See Store.stream_list."""
        self._queue(lambda: self._group(stream, group, done, self._answer(done)), done)

    def afterwards(self, effect: Callable[[], None]) -> None:
        """Do something once all of it is committed."""
        self._afterwards.append(effect)

    # --- its end

    def commit(
        self, closing: Sequence[Operation], done: Callable[[StepweaveError | None], None]
    ) -> None:
        """Let all of it take effect together with the closing operations, or none.

        The error is Conflict when something that was read has been changed meanwhile.
        """

        def submit() -> None:
            self._over = True
            expects = self._expects()
            self._store.submit((*expects, *self._operations, *closing), committed)
            first[0] = len(expects)

        def committed(error: StepweaveError | None, results: Any) -> None:
            self._locks.release(self._holder)
            if error is None:
                for position, effect in self._effects:
                    effect(results[first[0] + position])
                for follow in self._afterwards:
                    follow()
            done(error)

        first = [0]
        self._queue(submit, lambda error, _result: done(error))

    @property
    def waited_s(self) -> float:
        """How long it has waited for what others had written; once it is over."""
        return self._holder.waited_s

    def discard(self) -> None:
        """Forget all of it."""
        self._over = True
        tasks, self._tasks = self._tasks, deque()
        self._locks.release(self._holder)
        for _task, done in tasks:
            done(GivenUp("the handler is over; what it did is undone"), None)

    # --- one operation after the other

    def _queue(self, task: Callable[[], None], done: Done) -> None:
        if self._over:
            done(GivenUp("the handler is over"), None)
            return
        self._tasks.append((task, done))
        self._run()

    def _run(self) -> None:
        if self._running:
            return
        self._running = True
        while self._tasks and not self._busy:
            self._busy = True
            self._tasks.popleft()[0]()
        self._running = False

    def _answer(self, done: Done) -> _Then:
        def answer(result: Any) -> None:
            if not self._over:
                self._busy = False
                done(None, result)
                self._run()

        return answer

    def _refuse(self, done: Done, error: StepweaveError) -> None:
        if not self._over:
            self._busy = False
            done(error, None)
            self._run()

    def _take(self, op: Operation, done: Done, effect: Effect | None) -> None:
        answer = self._answer(done)
        if isinstance(op, PutEvent | Cancel):
            self._keep(op, effect)
            answer([None])
        elif isinstance(op, StateClear):
            self._clear(op, done, answer)
        elif isinstance(op, StateSet | StateDelete | StateUpdate):
            key = (None, op.group, op.key)
            self._locked(key, done, lambda: self._change(key, op, done, answer, effect))
        elif isinstance(op, StreamSet | StreamUpdate | StreamDelete):
            item = (op.stream, op.group, op.id)
            self._locked(item, done, lambda: self._change(item, op, done, answer, effect))
        else:
            raise TypeError(f"an atomic handler cannot do {type(op).__name__}")

    def _locked(self, key: Key, done: Done, then: Callable[[], None]) -> None:
        if not self._locks.take(key, self._holder, then):
            self.contended = True
            _stream, group, name = key
            text = f'another atomic step holds "{group}" "{name}" and waits for this one'
            self._refuse(done, Conflict(text))

    def _change(
        self,
        key: Key,
        op: StateSet | StateDelete | StateUpdate | StreamSet | StreamUpdate | StreamDelete,
        done: Done,
        answer: _Then,
        effect: Effect | None,
    ) -> None:
        """Do what an operation does to one value, whose lock is ours."""
        if isinstance(op, StreamSet) or (isinstance(op, StateSet) and op.expect is None):
            value = op.data if isinstance(op, StreamSet) else op.value
            self._write(key, value, op, effect)
            answer([(None, 0, value) if isinstance(op, StreamSet) else None])
            return

        def read(current: Payload | None) -> None:
            try:
                answer([change(current)])
            except StepweaveError as error:
                self._refuse(done, error)

        def change(current: Payload | None) -> Any:
            if isinstance(op, StateDelete):
                self._write(key, None, op, effect)
                return current
            if isinstance(op, StreamDelete):
                if current is not None:
                    self._write(key, None, op, effect)
                return None if current is None else (0, current)
            if isinstance(op, StateSet | StateUpdate):
                require(current, op.expect, op.group, op.key)
            if isinstance(op, StateSet):
                self._write(key, op.value, op, effect)
                return None
            value = patch.apply(current, op.ops)
            self._write(key, value, op, effect)
            return value if isinstance(op, StateUpdate) else (None, 0, value)

        self._value(key, done, read)

    def _clear(self, op: StateClear, done: Done, answer: _Then) -> None:
        def read(rows: list[tuple[str, Payload]]) -> None:
            self._keep(op, None)
            self._cleared.add(op.group)
            for key in [key for key in self._written if key[0] is None and key[1] == op.group]:
                del self._written[key]
            answer([len(rows)])

        self._group(None, op.group, done, read)

    # --- reading

    def _value(self, key: Key, done: Done, then: _Then) -> None:
        """What a value is, with its own writes."""
        stream, group, name = key
        if key in self._written:
            then(self._written[key])
        elif stream is None and group in self._cleared:
            then(None)
        elif key in self._seen:
            then(self._seen[key])
        else:

            def read(error: StepweaveError | None, value: Payload | None) -> None:
                if error is not None:
                    self._refuse(done, error)
                    return
                self._seen[key] = value
                then(value)

            if stream is None:
                self._store.state_get(group, name, read)
            else:
                self._store.stream_get(stream, group, name, read)

    def _group(
        self,
        stream: str | None,
        group: str,
        done: Done,
        then: Callable[[list[tuple[str, Payload]]], None],
    ) -> None:
        """What is in a group, with its own writes."""
        if stream is None and group in self._cleared:
            then(self._overlaid(stream, group, []))
            return
        seen = self._seen_groups.get((stream, group))
        if seen is not None:
            then(self._overlaid(stream, group, seen))
            return

        def read(error: StepweaveError | None, rows: Any) -> None:
            if error is not None:
                self._refuse(done, error)
                return
            self._seen_groups[stream, group] = rows
            then(self._overlaid(stream, group, rows))

        if stream is None:
            self._store.state_list(group, read)
        else:
            self._store.stream_list(stream, group, read)

    def _overlaid(
        self, stream: str | None, group: str, rows: list[tuple[str, Payload]]
    ) -> list[tuple[str, Payload]]:
        values: dict[str, Payload | None] = dict(rows)
        for (of, within, name), value in self._written.items():
            if of == stream and within == group:
                values[name] = value
        found = [(name, value) for name, value in values.items() if value is not None]
        return sorted(found) if stream is None else found

    # --- writing

    def _write(self, key: Key, value: Payload | None, op: Operation, effect: Effect | None) -> None:
        self._written[key] = value
        self._keep(op, effect)

    def _keep(self, op: Operation, effect: Effect | None) -> None:
        if effect is not None:
            self._effects.append((len(self._operations), effect))
        self._operations.append(op)

    def _expects(self) -> list[Operation]:
        values = [Expect(*key, seen) for key, seen in self._seen.items()]
        groups = [
            Expect(stream, group, None, rows) for (stream, group), rows in self._seen_groups.items()
        ]
        return [*values, *groups]
