"""Keeps what user code prints off the wire, and gives it to the step that printed it.

Imported before anything else, so it imports only what every interpreter has loaded already.
"""

from __future__ import annotations

import _thread
import io
import os
import sys
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any

    from stepweave_runner.scope import Scope

running: ContextVar[Scope | None] = ContextVar("stepweave_scope", default=None)
"""The scope whose handler the code at hand belongs to; None outside of handlers."""


# Of a line that never ends so many characters are kept before they leave as one, such as the dots
# of a progress that somebody prints.
_LONGEST_REST = 16 * 1024


def guard() -> tuple[int, int]:
    """Move the wire away from descriptors 0 and 1 and return where it is now: (reading, writing).

    Child processes do not inherit the two. Afterwards 0 reads the null device and 1 writes to
    stderr, for native code and child processes as well.
    """
    reading, writing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return reading, writing


def complain(line: str) -> None:
    """Write a line to stderr, past everything user code may have put in its place."""
    try:
        os.write(2, (line + "\n").encode("utf-8", "backslashreplace"))
    except OSError:
        pass


class Output(io.TextIOBase):
    """What sys.stdout and sys.stderr are: lines go to the running scope, else to stderr."""

    encoding = "utf-8"
    errors = "backslashreplace"
    mode = "w"

    def __init__(self, source: str, level: str, descriptor: int) -> None:
        self.source = source
        self.level = level
        self.name = f"<{source}>"
        self.buffer = Binary(self)
        self._descriptor = descriptor
        self._held: dict[str, str] = {}
        self._lock = _thread.allocate_lock()

    def write(self, text: str) -> int:
        """Take text; whole lines leave at once, the rest waits for its line's end."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        scope = running.get()
        if scope is not None and scope.closed:
            scope = None
        with self._lock:
            if scope is None:
                held = self._held
            elif scope.held is None:
                held = scope.held = {}
            else:
                held = scope.held
            *lines, rest = (held.pop(self.source, "") + text).split("\n")
            if len(rest) > _LONGEST_REST:
                lines.append(rest)
            elif rest:
                held[self.source] = rest
        for line in lines:
            self.say(scope, line)
        return len(text)

    def say(self, scope: Scope | None, line: str) -> None:
        """Pass one line on, without its end. Blank ones say nothing and are left out."""
        line = line.rstrip("\r")
        if not line.strip():
            return
        if scope is None:
            complain(line)
        else:
            scope.log(self.level, line, None, self.source)

    def settle(self, scope: Scope) -> None:
        """Pass on what a handler printed without an end of line."""
        with self._lock:
            rest = scope.held.pop(self.source, "") if scope.held else ""
        if rest:
            self.say(scope, rest)

    def flush(self) -> None:
        """Nothing to do: whole lines have left, and a part of one is no record."""

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_options: Any) -> None:
        """Accepted, since programs call it to ask for UTF-8."""


class Binary(io.RawIOBase):
    """The `buffer` of an Output, for those who write bytes."""

    def __init__(self, text: Output) -> None:
        self._text = text
        self.name = text.name

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "backslashreplace"))
        return len(raw)

    def fileno(self) -> int:
        return self._text.fileno()

    def writable(self) -> bool:
        return True


stdout = Output("stdout", "info", 1)
stderr = Output("stderr", "warn", 2)


def capture() -> None:
    """Take over print, sys.stdout, sys.stderr and logging."""
    sys.stdout = sys.__stdout__ = stdout  # type: ignore[assignment,misc]
    sys.stderr = sys.__stderr__ = stderr  # type: ignore[assignment,misc]
    _capture_logging()
    # A forked child has no event loop to carry records: its lines go to stderr.
    os.register_at_fork(after_in_child=_leave_scope)


def _leave_scope() -> None:
    running.set(None)
    for output in (stdout, stderr):  # another thread may have been printing
        output._lock = _thread.allocate_lock()


def _capture_logging() -> None:
    """Let handlers of `logging` that write to our streams keep level and fields.

    Without it a record would arrive as a line of stderr. No handler is added and no level
    changed, so logging.basicConfig in a step does what it does elsewhere.
    """
    import logging

    levels = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))
    usual = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
    original: Callable[[Any, logging.LogRecord], None] = logging.StreamHandler.emit

    def emit(handler: Any, record: logging.LogRecord) -> None:
        scope = running.get()
        if scope is None or scope.closed or type(getattr(handler, "stream", None)) is not Output:
            original(handler, record)
            return
        try:
            level = next((name for least, name in levels if record.levelno >= least), "debug")
            fields = {key: value for key, value in vars(record).items() if key not in usual}
            fields["logger"] = record.name
            if record.exc_info and record.exc_info[1] is not None:
                fields["error"] = record.exc_info[1]
            scope.log(level, record.getMessage(), fields)
        except Exception:
            handler.handleError(record)

    logging.StreamHandler.emit = emit  # type: ignore[assignment,method-assign]
