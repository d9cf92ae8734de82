"""Log records, from a step or from Stepweave itself, and the hub that hands them to their readers.

What a reader may rely on: a record it gets has its secrets masked and is of bounded size.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Literal, NamedTuple, Protocol, get_args

import orjson

from stepweave import masking
from stepweave.errors import UsageError

__all__ = [
    "LEVELS",
    "RANK",
    "Bridge",
    "Level",
    "LogHub",
    "Record",
    "Sink",
    "Source",
    "level_of",
]

Level = Literal["debug", "info", "warn", "error"]
Source = Literal["logger", "stdout", "stderr", "stepweave"]

LEVELS: tuple[Level, ...] = get_args(Level)
RANK: dict[str, int] = {level: rank for rank, level in enumerate(LEVELS)}
"""Larger is more serious."""

MESSAGE_LIMIT = 32 * 1024  # characters
FIELDS_LIMIT = 64 * 1024  # bytes of JSON
_OPTIONS = orjson.OPT_NON_STR_KEYS


class Record(NamedTuple):
    """One line of a log. `at` is Unix ms; `fields` is JSON, usually of an object, or None.

    `source` is the step's logger, what its process printed, or Stepweave itself.
    """

    at: int
    level: Level
    message: str
    fields: bytes | None = None
    trace_id: str | None = None
    span_id: str | None = None
    step: str | None = None
    source: Source = "logger"


class Sink(Protocol):
    """Who wants records: called on the thread that logs, so it must only keep them and return."""

    def add_log(self, record: Record) -> None: ...


class LogHub:
    """Hands each record to every sink, with secrets masked and over-long parts cut."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = list(sinks)

    def add(self, sink: Sink) -> None:
        """Let a sink have all records from now on."""
        self._sinks.append(sink)

    def remove(self, sink: Sink) -> None:
        """Give a sink no more records."""
        self._sinks.remove(sink)

    def emit(self, record: Record) -> None:
        """Pass a record on; returns at once, whatever the sinks do with it."""
        if record.fields is not None or len(record.message) > MESSAGE_LIMIT:
            record = _tidy(record)
        for sink in self._sinks:
            sink.add_log(record)

    def log(
        self,
        level: Level,
        message: str,
        *,
        step: str | None = None,
        trace_id: str | None = None,
        span_id: str | None = None,
        **fields: Any,
    ) -> None:
        """Say something as Stepweave itself; values that JSON lacks become text."""
        data = orjson.dumps(fields, default=str, option=_OPTIONS) if fields else None
        at = time.time_ns() // 1_000_000
        self.emit(Record(at, level, message, data, trace_id, span_id, step, "stepweave"))


class Bridge(logging.Handler):
    """Takes the records of Python's own logging (uvicorn, anyio, asyncio) into the hub."""

    def __init__(self, hub: LogHub, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._hub = hub

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one on, with the stack of its exception as a field."""
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = _error(record.exc_info[1])
        level: Level = "error" if record.levelno >= logging.ERROR else "warn"
        if record.levelno < logging.WARNING:
            level = "info" if record.levelno >= logging.INFO else "debug"
        self._hub.log(level, record.getMessage(), **fields)


def level_of(text: str) -> Level:
    """The level that a person named, in any case; "warning" is "warn".

    Raises UsageError that lists the levels.
    """
    name = text.strip().lower()
    name = {"warning": "warn", "trace": "debug", "fatal": "error", "critical": "error"}.get(
        name, name
    )
    for level in LEVELS:
        if level == name:
            return level
    raise UsageError(f'log level "{text}" is not one of {", ".join(LEVELS)}')


def _tidy(record: Record) -> Record:
    fields = record.fields
    if fields is not None:
        fields = masking.mask(fields)
        if len(fields) > FIELDS_LIMIT:
            fields = masking.cut(fields, FIELDS_LIMIT)
    if fields is record.fields and len(record.message) <= MESSAGE_LIMIT:
        return record
    return record._replace(message=masking.shorten(record.message, MESSAGE_LIMIT), fields=fields)


def _error(error: BaseException) -> dict[str, str]:
    lines = logging.Formatter().formatException((type(error), error, error.__traceback__))
    return {"name": type(error).__name__, "message": str(error), "stack": lines}
