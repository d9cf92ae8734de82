"""What the engine asks of a store: apply these operations together, and a few reads.

The shape fits a SQLite transaction, a server-side script and SQL alike. Times are Unix
milliseconds. Nothing here says that there is only one process, or which database it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from stepweave.engine.store.operations import Operation, Start
from stepweave.errors import StepweaveError
from stepweave.payload import Payload

__all__ = [
    "CronState",
    "DeadLetter",
    "Done",
    "Pending",
    "StateGroup",
    "StateRow",
    "Store",
    "StoredEvent",
    "Waiting",
]

Done = Callable[[StepweaveError | None, Any], None]
"""Called once, later, with (error, result)."""


class Waiting(NamedTuple):
    """A delivery that is not settled, as found at start; `rank` as in PutEvent."""

    event: int
    subscription: str
    attempt: int
    due_at: int
    group: str | None
    priority: int | None
    rank: int


class Pending(NamedTuple):
    """A delivery that is not settled, as people see it. `errors` is a JSON list, oldest first."""

    event: int
    subscription: str
    topic: str
    data: Payload | None
    size: int
    trace: str
    source: str
    at: int
    group: str | None
    attempt: int
    due_at: int
    priority: int | None
    errors: str


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
    """A delivery that failed for good. `errors` is a JSON list of its tries, the last one last.

    With `holds` its group waits for what becomes of it.
    """

    id: int
    event: int
    subscription: str
    topic: str
    data: Payload | None
    trace: str
    attempts: int
    reason: str
    errors: str
    at: int
    source: str
    group: str | None
    holds: bool
    event_at: int


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


class CronState(NamedTuple):
    """What is known of a cron step: the newest tick that was run or let pass (`at`, None for
    none), the ticks that began and did not end, oldest first, whether it is paused, and the
    newest tick that was run."""

    step: str
    at: int | None
    begun: tuple[int, ...]
    paused: bool
    ran: int | None = None


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

    @property
    def settled(self) -> int:
        """The number of the newest unit whose outcome is known: no `done` told of a later one."""
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

    def state_list(
        self, group: str, done: Done, after: str | None = None, limit: int | None = None
    ) -> None:
        """Read a group; `done(error, [(key, payload), …])`, ordered by key.

        With `after` only keys that come after this one, with `limit` at most so many.
        """
        ...

    def state_groups(self, done: Done) -> None:
        """`done(error, [group, …])`."""
        ...

    def stream_get(self, stream: str, group: str, id: str, done: Done) -> None:
        """`done(error, payload | None)`."""
        ...

    def stream_snapshot(self, stream: str, group: str, id: str | None, done: Done) -> None:
        """A group, or one item of it, as of its newest change: `done(error, (seq, [(id, payload),
        …]))`. `done` is called in the order of the units, like the `done` of a write.
        """
        ...

    def stream_list(self, stream: str, group: str, done: Done) -> None:
        """`done(error, [(id, payload), …])`, in order of creation."""
        ...

    def event(self, id: int, done: Done) -> None:
        """`done(error, StoredEvent | None)`."""
        ...

    def events(self, ids: Sequence[int]) -> list[StoredEvent]:
        """The events with these ids, as far as they are there. Raises StoreFailed."""
        ...

    def newest(self) -> int:
        """The largest id of an event that waits or holds its group, 0 for none. Only at start."""
        ...

    def waiting(self) -> Iterator[Waiting]:
        """Every delivery not settled, by rank. Only before the first submit."""
        ...

    def held(self) -> Iterator[tuple[str, str]]:
        """(subscription, group) of each dead letter that holds its group. Only at start."""
        ...

    def starts(self, since: int) -> Iterator[Start]:
        """What started in throttled lanes since then, oldest first. Only at start."""
        ...

    def cron(self) -> list[CronState]:
        """What is known of every cron step that ever ran or was paused. Only at start."""
        ...

    async def pending(
        self,
        limit: int = 100,
        before: tuple[int, str] | None = None,
        step: str | None = None,
        topic: str | None = None,
        event: int | None = None,
    ) -> list[Pending]:
        """Deliveries not settled, newest first: those before an (event, subscription) pair, of
        one step, topic or event or all. Their data is cut to a preview unless `event` is given.
        """
        ...

    async def behind(self, step: str, group: str) -> int:
        """How many deliveries of a step are not settled in a group."""
        ...

    async def dead(
        self,
        limit: int = 100,
        before: int | None = None,
        step: str | None = None,
        event: int | None = None,
    ) -> list[DeadLetter]:
        """Dead letters, newest first: those with an id under `before`, of one step, of one event,
        or all."""
        ...

    async def forget_dead(self, before: int) -> int:
        """Forget dead letters that died before then and hold no group; how many."""
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
