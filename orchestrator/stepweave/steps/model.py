"""The values that describe a project: steps, streams, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from stepweave.steps.schema import Validator

__all__ = [
    "Backoff",
    "Batch",
    "CatchUp",
    "Defaults",
    "Emit",
    "Entry",
    "Found",
    "HandlerOptions",
    "Infrastructure",
    "Kind",
    "Problem",
    "QueryParam",
    "QueueOptions",
    "Severity",
    "Step",
    "Stream",
    "Throttle",
]

Severity = Literal["error", "warning", "info"]

CatchUp = Literal["none", "once", "all"]
"""What becomes of a cron step's times that passed while nothing ran."""


class Kind(StrEnum):
    """What starts a step; a `stream` is a place for items and never runs."""

    API = "api"
    EVENT = "event"
    CRON = "cron"
    NOOP = "noop"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Found:
    """A file whose name says that it holds a step or a stream.

    `relpath` is posix, relative to the project and the step's handle on the wire.
    """

    path: Path
    relpath: str
    what: Literal["step", "stream"]
    language: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a file, for the person who can mend it.

    `file` is relative to the project, `line` and `column` start at 1, `frame` is the source
    around that place, `hint` says what to do. An error keeps the step from running; a warning
    and an info do not. The codes are listed in docs/steps.md.
    """

    severity: Severity
    code: str
    message: str
    file: str
    line: int | None = None
    column: int | None = None
    frame: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" + (f"; {self.hint}" if self.hint else "")

    def to_json(self) -> dict[str, Any]:
        """All fields, with None where there is nothing to say."""
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "frame": self.frame,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True)
class Emit:
    """A topic that a step says it emits; label and conditional only change the drawing."""

    topic: str
    label: str | None = None
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class QueryParam:
    """A query parameter named for documentation; `querySchema` checks them."""

    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a failed delivery waits before its next try."""

    type: Literal["exponential", "fixed"] = "exponential"
    base_s: float = 1.0
    max_s: float = 300.0
    factor: float = 2.0
    jitter: bool = True

    def ceiling_s(self, failures: int) -> float:
        """Seconds to wait after that many failures (1 is the first), before any jitter."""
        if self.type == "fixed" or failures <= 1:
            return min(self.base_s, self.max_s)
        try:
            return min(self.base_s * self.factor ** (failures - 1), self.max_s)
        except OverflowError:
            return self.max_s


@dataclass(frozen=True, slots=True)
class Throttle:
    """How many events of one lane run at once (`concurrency`) and start in a window (`limit`).

    A lane is the value found at `key`, a path into the event's data; without a key there is
    one lane for the step.
    """

    key: tuple[str, ...] = ()
    concurrency: int | None = None
    limit: int | None = None
    window_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Hand over up to `size` events at once, the first of them after `wait_s` at the latest."""

    size: int
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class HandlerOptions:
    """`infrastructure.handler`. `cpu` describes a deployment and has no local effect.

    `timeout_s` is always set: 60 for an API step and 300 for the others unless the config says.
    With `isolate` the step has a child process of its own.
    """

    timeout_s: float = 300.0
    ram_mb: float | None = None
    cpu: float | None = None
    isolate: bool = False


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """`infrastructure.queue`: how events reach a step.

    `max_retries` counts the tries after the first one. `concurrency` None leaves it to the engine.
    A higher `priority` goes first; an event may bring its own. `on_dead_letter` says what a
    FIFO group does when one of its events failed for good.
    """

    type: Literal["standard", "fifo"] = "standard"
    max_retries: int = 3
    visibility_timeout_s: float = 900.0
    delay_s: float = 0.0
    concurrency: int | None = None
    backoff: Backoff = Backoff()
    priority: int = 0
    throttle: Throttle | None = None
    batch: Batch | None = None
    on_dead_letter: Literal["wait", "continue"] = "wait"


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """The `infrastructure` block of a config, with the defaults filled in."""

    handler: HandlerOptions = HandlerOptions()
    queue: QueueOptions = QueueOptions()


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the project says for steps whose config is silent."""

    api_timeout_s: float = 60.0
    timeout_s: float = 300.0
    queue: QueueOptions = QueueOptions()
    parses: bool = False

    def handler(self, kind: Kind) -> HandlerOptions:
        """The handler options of a step of this kind without any of its own."""
        return HandlerOptions(self.api_timeout_s if kind is Kind.API else self.timeout_s)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that can be registered: everything its config says, checked and with defaults.

    `config` is what the author wrote in one form: camelCase keys, schemas as JSON Schema.
    It is JSON-able and must not be changed. `route` is an API step's URL pattern, `method` its
    HTTP method in upper case. `responses` are keyed by status. `parses`: the handler gets what the
    config's own schema objects make of its input. `takes_files`: a field of `body` can be nothing
    but a file of a form. Fields of other kinds are empty.
    """

    name: str
    kind: Kind
    language: str
    path: Path
    relpath: str
    config: dict[str, Any]
    revision: int = 1
    description: str | None = None
    flows: tuple[str, ...] = ()
    emits: tuple[Emit, ...] = ()
    virtual_emits: tuple[Emit, ...] = ()
    virtual_subscribes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    method: str | None = None
    route: str | None = None
    body: Validator | None = None
    query: Validator | None = None
    params: Validator | None = None
    responses: Mapping[int, Validator] = field(default_factory=dict)
    query_params: tuple[QueryParam, ...] = ()
    input: Validator | None = None
    cron: str | None = None
    timezone: str | None = None
    overlap: bool = False
    catch_up: CatchUp = "none"
    atomic: bool = False
    infrastructure: Infrastructure = Infrastructure()
    include_files: tuple[str, ...] = ()
    has_middleware: bool = False
    parses: bool = False
    takes_files: bool = False
    topics: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "topics", frozenset(emit.topic for emit in self.emits))

    def __hash__(self) -> int:
        return hash((self.relpath, self.revision))

    def declares(self, topic: str) -> bool:
        """Whether the config lets the step emit the topic; an empty `emits` allows any."""
        return not self.topics or topic in self.topics


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream definition. `config` is as in Step; `has_access_check` says canAccess exists."""

    name: str
    language: str
    path: Path
    relpath: str
    config: dict[str, Any]
    revision: int = 1
    description: str | None = None
    flows: tuple[str, ...] = ()
    schema: Validator | None = None
    has_access_check: bool = False

    @property
    def kind(self) -> Kind:
        """Always Kind.STREAM, so that steps and streams can be listed together."""
        return Kind.STREAM

    def __hash__(self) -> int:
        return hash((self.relpath, self.revision))


@dataclass(frozen=True, slots=True)
class Entry:
    """A found file and what became of it.

    `item` is None when the file does not load; after a failed reload it is the last good one,
    and the problems are those of the new text. `source` is the file's text, if it was read.
    """

    found: Found
    item: Step | Stream | None = None
    problems: tuple[Problem, ...] = ()
    source: str | None = field(default=None, repr=False)
