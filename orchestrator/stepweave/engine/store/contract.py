"""What the engine asks of a store: apply these operations together, and a few reads.

The shape fits a SQLite transaction, a server-side script and SQL alike. Times are Unix
milliseconds. Nothing here says that there is only one process, or which database it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from stepweave.errors import StepweaveError
from stepweave.payload import Payload

__all__ = [
    "Bury",
    "CronTick",
    "DeadLetter",
    "Discard",
    "Done",
    "Operation",
    "PutEvent",
    "Redrive",
    "Retry",
    "Settle",
    "StateClear",
    "StateDelete",
    "StateGroup",
    "StateRow",
    "StateSet",
    "StateUpdate",
    "Store",
    "StoredEvent",
    "StreamDelete",
    "StreamSet",
    "StreamUpdate",
    "Waiting",
]

Done = Callable[[StepweaveError | None, Any], None]
"""Called once, later, with (error, result)."""


class PutEvent(NamedTuple):
    """Record an event and one delivery per subscription. Result: None.

    With a `key` that was used within the last day nothing is recorded, and the result is the
    id of the event that holds the key.
    """

    id: int
    topic: str
    data: Payload | None
    trace: str
    source: str
    at: int
    group: str | None
    key: str | None
    deliveries: tuple[tuple[str, int], ...]


class Settle(NamedTuple):
    """A delivery is done; with `last` its event goes too. Result: None."""

    event: int
    subscription: str
    last: bool


class Retry(NamedTuple):
    """A delivery failed and is tried again at `due_at`; `attempt` is the next one. Result: None."""

    event: int
    subscription: str
    attempt: int
    due_at: int
    error: bytes


class Bury(NamedTuple):
    """A delivery failed for good and becomes a dead letter. Result: None."""

    event: int
    subscription: str
    attempts: int
    reason: str
    error: bytes
    at: int
    last: bool


class Redrive(NamedTuple):
    """A dead letter is delivered as a new event. Result: the PutEvent made, or None if gone.

    `data` is a 1-tuple of what is delivered instead of the letter's own data.
    """

    dead: int
    event: int
    at: int
    data: tuple[Payload | None] | None = None


class Discard(NamedTuple):
    """A dead letter is forgotten. Result: whether it was there."""

    dead: int


class StateSet(NamedTuple):
    """Write a value. Result: None.

    `expect` is a 1-tuple of the value that must be there (None inside: must be absent), else
    the unit is refused with Conflict.
    """

    group: str
    key: str
    value: Payload
    expires_at: int | None = None
    expect: tuple[Payload | None] | None = None


class StateDelete(NamedTuple):
    """Remove a value. Result: what was there, or None."""

    group: str
    key: str


class StateClear(NamedTuple):
    """Remove a group. Result: how many values were removed."""

    group: str


class StateUpdate(NamedTuple):
    """Change a value in place (SPEC: state.update). Result: the new value."""

    group: str
    key: str
    ops: list[dict[str, Any]]
    expect: tuple[Payload | None] | None = None


class StreamSet(NamedTuple):
    """Write a stream item. Result: (created, sequence number, stored value)."""

    stream: str
    group: str
    id: str
    data: Payload
    at: int


class StreamUpdate(NamedTuple):
    """Change a stream item in place. Result: (created, sequence number, stored value)."""

    stream: str
    group: str
    id: str
    ops: list[dict[str, Any]]
    at: int


class StreamDelete(NamedTuple):
    """Remove a stream item. Result: (sequence number, what was there) or None."""

    stream: str
    group: str
    id: str
    at: int


class CronTick(NamedTuple):
    """Record that a step's tick is being run. Result: False when it was recorded before."""

    step: str
    at: int


Operation = (
    PutEvent
    | Settle
    | Retry
    | Bury
    | Redrive
    | Discard
    | StateSet
    | StateDelete
    | StateClear
    | StateUpdate
    | StreamSet
    | StreamUpdate
    | StreamDelete
    | CronTick
)


class Waiting(NamedTuple):
    """A delivery that is not settled, as found at start."""

    event: int
    subscription: str
    attempt: int
    due_at: int
    group: str | None


class StoredEvent(NamedTuple):
    """An event as it was recorded."""

    id: int
    topic: str
    data: Payload | None
    trace: str
    source: str
    at: int
    group: str | None


class DeadLetter(NamedTuple):
    """A delivery that failed for good."""

    id: int
    event: int
    subscription: str
    topic: str
    data: Payload | None
    trace: str
    attempts: int
    reason: str
    error: bytes
    at: int
    source: str
    group: str | None


class StateGroup(NamedTuple):
    """A group that holds values: under how many keys, and their bytes."""

    name: str
    keys: int
    size: int


class StateRow(NamedTuple):
    """A value in a listing. `value` may hold only the start of its `size` bytes."""

    key: str
    value: Payload
    size: int
    updated_at: int
    expires_at: int | None


class Store(Protocol):
    """Durable events, state and streams.

    `submit` never waits: it takes the operations as one atomic unit, in the order of the
    calls, and `done` is called later with the results or the error; with an error none of
    them took effect. Raises nothing.
    """

    @property
    def last_sequence(self) -> int:
        """The number of the newest unit submitted."""
        ...

    def submit(self, operations: Sequence[Operation], done: Done | None = None) -> int:
        """Take a unit; returns its sequence number. `done(error, [result, …])`."""
        ...

    async def apply(self, operations: Sequence[Operation]) -> list[Any]:
        """Submit a unit and wait for its results."""
        ...

    def synced(self, sequence: int) -> bool:
        """Whether everything up to this unit survives a power cut (or need not)."""
        ...

    async def sync(self, sequence: int) -> None:
        """Wait until everything up to this unit survives a power cut. Raises StoreFailed."""
        ...

    def state_get(self, group: str, key: str, done: Done) -> None:
        """Read a value as the newest submitted unit leaves it; `done(error, payload | None)`."""
        ...

    def state_list(self, group: str, done: Done) -> None:
        """Read a group; `done(error, [(key, payload), …])`, ordered by key."""
        ...

    def state_groups(self, done: Done) -> None:
        """`done(error, [group, …])`."""
        ...

    def stream_get(self, stream: str, group: str, id: str, done: Done) -> None:
        """`done(error, payload | None)`."""
        ...

    def stream_list(self, stream: str, group: str, done: Done) -> None:
        """`done(error, [(id, payload), …])`, in order of creation."""
        ...

    def event(self, id: int, done: Done) -> None:
        """`done(error, StoredEvent | None)`."""
        ...

    def waiting(self) -> Iterator[Waiting]:
        """Every delivery not settled, oldest event first. Only before the first submit."""
        ...

    async def dead(
        self, limit: int = 100, before: int | None = None, step: str | None = None
    ) -> list[DeadLetter]:
        """Dead letters, newest first: those with an id under `before`, of one step or all."""
        ...

    async def letter(self, id: int) -> DeadLetter | None:
        """One dead letter."""
        ...

    async def state_counts(self, after: str | None, limit: int) -> list[StateGroup]:
        """At most `limit` groups that hold values, by name, from the first one after `after`."""
        ...

    async def state_page(
        self, group: str, after: str | None, limit: int, most: int
    ) -> list[StateRow]:
        """At most `limit` values, by key, from the first key after `after`.

        Of each value at most `most` bytes are read.
        """
        ...

    async def close(self) -> None:
        """Finish what was submitted, then let go of the files."""
        ...
