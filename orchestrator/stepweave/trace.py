"""Trace and span ids, the W3C traceparent header, and the span of one invocation.

A span costs about a microsecond, which is why this is not the OpenTelemetry SDK (25 µs): traces
stay on in production. Whoever stores or exports spans does so in batches elsewhere.
"""

from __future__ import annotations

import os
import random
import re
import time
from typing import Any, Literal, NamedTuple

from stepweave.payload import Payload

__all__ = [
    "MAX_EVENTS",
    "CallKind",
    "EventType",
    "OutcomeStatus",
    "Preview",
    "Span",
    "SpanEvent",
    "TraceParent",
    "format_traceparent",
    "new_span_id",
    "new_trace_id",
    "now_us",
    "parse_traceparent",
]

CallKind = Literal["api", "event", "cron"]
OutcomeStatus = Literal["ok", "error", "timeout", "cancelled", "lost"]
EventType = Literal["log", "state", "emit", "stream"]

SpanEvent = tuple[int, EventType, tuple[Any, ...]]
"""(Unix µs, type, what happened as a few short JSON values)."""

MAX_EVENTS = 500
"""Events that one span keeps; the rest are only counted, so a loop cannot fill the memory."""

# Ids must be unique, not secret: a generator seeded from the system is 4 times as fast as it.
_random = random.Random(os.urandom(32))
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))
_bits = _random.getrandbits

_TRACEPARENT = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


class Preview(NamedTuple):
    """What is kept of a payload: its format, its size in bytes, and its beginning as text."""

    format: str
    size: int
    text: str | None


class TraceParent(NamedTuple):
    """Where a trace comes from: its id, the calling span, and whether the caller records it."""

    trace_id: str
    span_id: str
    sampled: bool


def new_trace_id() -> str:
    """32 hex digits: 12 for the Unix ms and 20 at random, so that ids grow with time.

    An index of ids that grow is written at its end alone; one of random ids is written all
    over, which made a stored span three times as dear.
    """
    return f"{time.time_ns() // 1_000_000:012x}{_bits(80):020x}"


def new_span_id() -> str:
    """16 hex digits, never all zero."""
    return f"{_bits(64) or 1:016x}"


def now_us() -> int:
    """Unix time in microseconds, the unit of all times of a span."""
    return time.time_ns() // 1000


def parse_traceparent(text: str | None) -> TraceParent | None:
    """The parts of a `traceparent` header; None if it is absent or not of the W3C form.

    A header that breaks the rules is ignored as a whole, as W3C Trace Context asks: the
    receiver then starts a trace of its own. Later versions may append fields; 00 may not.
    """
    found = _TRACEPARENT.fullmatch(text.strip()) if text else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceParent(trace_id, span_id, bool(int(flags, 16) & 1))


def format_traceparent(trace_id: str, span_id: str, sampled: bool = True) -> str:
    """The `traceparent` header that makes the receiver a child of this span."""
    return f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"


class Span:
    """One attempt to run one step; mutable while it runs, given to the trace store when it ended.

    All times are Unix µs. `queued_at` is when the work was accepted, `started_at` when it went
    to a runner; their difference is the wait. `status` is "running" until `finish`. `error` is
    the error map of SPEC 8. `input` and `output` are the payloads themselves until the store
    has cut them to previews. `route` is the pattern ("GET /pets/:id"), `path` what was asked
    for. `dropped` counts events over MAX_EVENTS.
    """

    __slots__ = (
        "attempt",
        "dropped",
        "ended_at",
        "error",
        "event_id",
        "events",
        "http_status",
        "input",
        "kind",
        "language",
        "name",
        "output",
        "parent_id",
        "path",
        "queued_at",
        "route",
        "span_id",
        "started_at",
        "status",
        "topic",
        "trace_id",
    )

    def __init__(
        self,
        trace_id: str,
        name: str,
        kind: CallKind,
        language: str,
        *,
        parent_id: str | None = None,
        attempt: int = 1,
        queued_at: int = 0,
        input: Payload | None = None,
        topic: str | None = None,
        event_id: str | None = None,
        route: str | None = None,
        path: str | None = None,
    ) -> None:
        """A span that starts now; `queued_at` 0 means that it did not wait."""
        self.trace_id = trace_id
        self.span_id = f"{_bits(64) or 1:016x}"
        self.parent_id = parent_id
        self.name = name
        self.kind: CallKind = kind
        self.language = language
        self.attempt = attempt
        self.started_at = now = time.time_ns() // 1000
        self.queued_at = queued_at or now
        self.ended_at = 0
        self.status: OutcomeStatus | Literal["running"] = "running"
        self.error: dict[str, Any] | None = None
        self.events: list[SpanEvent] = []
        self.dropped = 0
        self.topic = topic
        self.event_id = event_id
        self.route = route
        self.path = path
        self.http_status: int | None = None
        self.input: Payload | Preview | None = input
        self.output: Payload | Preview | None = None

    def start(self) -> None:
        """Set `started_at` anew, for a span that was made before its call left the queue."""
        self.started_at = time.time_ns() // 1000

    def add(self, type: EventType, *detail: Any) -> None:
        """Note something that the handler did; `detail` is a few short JSON values.

        Shapes: log (level, message) · state (operation, group, key, size) ·
        emit (topic, event id, size) · stream (operation, stream, group, id, size).
        """
        if len(self.events) < MAX_EVENTS:
            self.events.append((time.time_ns() // 1000, type, detail))
        else:
            self.dropped += 1

    def finish(
        self,
        status: OutcomeStatus = "ok",
        *,
        error: dict[str, Any] | None = None,
        output: Payload | None = None,
    ) -> None:
        """Say how it ended, now."""
        self.ended_at = time.time_ns() // 1000
        self.status = status
        self.error = error
        self.output = output

    @property
    def traceparent(self) -> str:
        """The header that makes a callee the child of this span."""
        return f"00-{self.trace_id}-{self.span_id}-01"
