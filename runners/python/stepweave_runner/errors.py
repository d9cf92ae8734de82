"""Errors that have a code on the wire, and how any exception becomes an error map (SPEC 8)."""

from __future__ import annotations

import asyncio
import functools
import os
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

__all__ = [
    "Cancelled",
    "InvalidPayload",
    "LoadFailed",
    "ProtocolError",
    "Refusal",
    "StepweaveError",
    "describe",
    "frames",
    "message_of",
    "stack",
]

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_MACHINERY = (_HERE, "<frozen importlib")
_MOST_FRAMES = 50


class StepweaveError(Exception):
    """A refusal with a code of SPEC 8.2. Context calls raise it in handlers."""

    def __init__(self, code: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = dict(data or {})

    def to_wire(self) -> dict[str, Any]:
        """The error map of this error."""
        error: dict[str, Any] = {"code": self.code, "message": str(self)}
        if self.data:
            error["data"] = self.data
        return error

    @classmethod
    def from_wire(cls, error: Any) -> StepweaveError:
        """The error that the other side answered with."""
        if not isinstance(error, dict):
            return cls("protocol_error", f"an error is a map, not {error!r:.80}")
        return cls(
            str(error.get("code", "internal")), str(error.get("message", "")), error.get("data")
        )


class InvalidPayload(StepweaveError):
    """A value that has no form on the wire; the message names the path in it."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid_payload", message)


class LoadFailed(StepweaveError):
    """A step file that cannot be used, with the place in it as far as it is known."""

    def __init__(self, message: str, file: str, line: int | None = None) -> None:
        data: dict[str, Any] = {"file": file}
        if line is not None:
            data["line"] = line
        super().__init__("load_failed", message, data)


class Refusal(StepweaveError):
    """An error map that is ready to be sent."""

    def __init__(self, wire: dict[str, Any]) -> None:
        super().__init__(wire["code"], wire["message"])
        self._wire = wire

    def to_wire(self) -> dict[str, Any]:
        return self._wire


class ProtocolError(Exception):
    """The other side sent what is no frame of SPEC 3; `frame` shows it."""

    def __init__(self, message: str, frame: str) -> None:
        super().__init__(f"protocol_error: {message}: {frame}")


class Cancelled(asyncio.CancelledError):
    """Raised in a handler without async when its invocation was cancelled, and by context calls
    after that. `reason` is "timeout", "shutdown" or "client", and so is the text.

    What an `async def` handler gets at its await is asyncio's own; both are caught in one way. Not
    an Exception, so that `except Exception` around a retry lets it pass.
    """

    reason = "client"

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or (self.reason,)))

    @staticmethod
    @functools.lru_cache(maxsize=16)
    def because(reason: str) -> type[Cancelled]:
        """The class for a reason: a thread is interrupted with a class, not with an object."""
        return type("Cancelled", (Cancelled,), {"reason": reason})


def describe(
    error: BaseException, code: str, is_project_file: Callable[[str], bool]
) -> dict[str, Any]:
    """The error map of an exception that user code raised."""
    described: dict[str, Any] = {
        "code": code,
        "message": message_of(error),
        "type": type(error).__name__,
        "trace": stack(error),
        "frames": frames(error.__traceback__, is_project_file),
    }
    own_code = getattr(error, "code", None)
    if isinstance(own_code, str):
        described["data"] = {"code": own_code}
    return described


def message_of(error: BaseException) -> str:
    """The text of an exception, even of one whose own __str__ fails."""
    try:
        return str(error)
    except Exception as failure:
        return f"<{type(error).__name__}, whose __str__ raises {type(failure).__name__}>"


def stack(error: BaseException) -> str:
    """The traceback as Python prints it, without the frames of the runner and of importlib."""
    try:
        told = traceback.TracebackException.from_exception(error)
        _shorten(told, 0)
        return "".join(told.format()).rstrip()
    except Exception:
        return f"{type(error).__name__}: {message_of(error)}"


def _shorten(told: Any, depth: int) -> None:
    if told is None or depth > 10:
        return
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if not frame.filename.startswith(_MACHINERY)]
    )
    _shorten(told.__cause__, depth + 1)
    _shorten(told.__context__, depth + 1)
    for inner in getattr(told, "exceptions", None) or ():
        _shorten(inner, depth + 1)


def frames(
    trace: TracebackType | None, is_project_file: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """The frames that lie in the project, innermost first: file, line, function."""
    found = [
        {"file": frame.f_code.co_filename, "line": line, "function": frame.f_code.co_name}
        for frame, line in traceback.walk_tb(trace)
        if is_project_file(frame.f_code.co_filename)
    ]
    return found[: -_MOST_FRAMES - 1 : -1]
