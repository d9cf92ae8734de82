"""What a store is asked to do: operations that take effect together or not at all.

Times are Unix milliseconds. An operation's result is what its unit's `done` gets for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from stepweave.payload import Payload

__all__ = [
    "Bury",
    "Cancel",
    "CronDone",
    "CronPause",
    "CronTick",
    "Discard",
    "Expect",
    "Operation",
    "PutEvent",
    "Redrive",
    "Retry",
    "Settle",
    "Start",
    "StateClear",
    "StateDelete",
    "StateSet",
    "StateUpdate",
    "StreamDelete",
    "StreamSet",
    "StreamUpdate",
]


class PutEvent(NamedTuple):
    """Record an event and one delivery per (subscription, due time); without deliveries only its
    key, if any. Result: None.

    With a `key` that another event of the topic holds nothing is recorded, and the result is
    the id of that event; else this one holds it until `key_until`. `rank` is the place in a
    FIFO group, the event's own id unless it takes another's.
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
    key_until: int = 0
    priority: int | None = None
    rank: int | None = None


class Settle(NamedTuple):
    """A delivery is done. Result: None.

    With `last` its event goes too; None leaves it to the store to see whether it was the last.
    """

    event: int
    subscription: str
    last: bool | None


class Cancel(NamedTuple):
    """Deliveries of an event that are not to run, all but those of `running` subscriptions.

    With `only` it is that of one subscription. Result: the names of the subscriptions whose
    deliveries were taken away.
    """

    event: int
    running: tuple[str, ...] = ()
    only: str | None = None


class Retry(NamedTuple):
    """A delivery failed and is tried again at `due_at`; `attempt` is the next one. Result: None."""

    event: int
    subscription: str
    attempt: int
    due_at: int
    error: bytes


class Bury(NamedTuple):
    """A delivery failed for good and becomes a dead letter. Result: None.

    With `holds` its group waits until the letter is delivered anew or discarded. `last` is as
    in Settle.
    """

    event: int
    subscription: str
    attempts: int
    reason: str
    error: bytes
    at: int
    last: bool | None
    holds: bool = False


class Redrive(NamedTuple):
    """A dead letter is delivered as a new event. Result: (the PutEvent made, whether the letter
    held its group, so that the event goes ahead of it), or None if it is gone.

    `data` is a 1-tuple of what is delivered instead of the letter's own data.
    """

    dead: int
    event: int
    at: int
    data: tuple[Payload | None] | None = None


class Discard(NamedTuple):
    """A dead letter is forgotten.

    Result: (subscription, the group that it held or None), or None if it is gone.
    """

    dead: int


class Start(NamedTuple):
    """A delivery of a throttled lane starts now. Result: None."""

    subscription: str
    lane: str
    at: int


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


WRONG_CLOCK_MS = 86_400_000
"""A clock that was ahead by more than this was wrong; one by less may have been corrected."""


class CronTick(NamedTuple):
    """A step's tick begins, or goes by without a run (`runs` False) and is not to be made up.
    Result: False when it, or a later one, did so before. One that is later by more than
    WRONG_CLOCK_MS was a wrong clock's and does not count."""

    step: str
    at: int
    runs: bool = True


class CronDone(NamedTuple):
    """A step's tick has run. Result: None."""

    step: str
    at: int


class CronPause(NamedTuple):
    """A cron step is paused, or goes on. Result: None."""

    step: str
    paused: bool


class Expect(NamedTuple):
    """A value, an item or a whole group must be as it was seen, else Conflict. Result: None.

    `stream` is None for state. `key` None means the group: `seen` is then the list of its
    (key, payload) pairs, otherwise a payload or None.
    """

    stream: str | None
    group: str
    key: str | None
    seen: Payload | Sequence[tuple[str, Payload]] | None


Operation = (
    PutEvent
    | Settle
    | Cancel
    | Retry
    | Bury
    | Redrive
    | Discard
    | Start
    | StateSet
    | StateDelete
    | StateClear
    | StateUpdate
    | StreamSet
    | StreamUpdate
    | StreamDelete
    | CronTick
    | CronDone
    | CronPause
    | Expect
)
