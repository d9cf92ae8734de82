"""Every error that Stepweave raises on purpose, with the code that programs compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
    "Busy",
    "Conflict",
    "InvalidInput",
    "LoadFailed",
    "NotDeclared",
    "ProtocolError",
    "RemoteError",
    "RunnerGone",
    "RunnerUnavailable",
    "ShuttingDown",
    "StepweaveError",
    "StoreFailed",
    "TooLarge",
    "UnknownStep",
    "UnknownStream",
    "Unsupported",
    "UsageError",
]


class StepweaveError(Exception):
    """Base of all errors below; `code` is what programs compare, the message is for people."""

    code: ClassVar[str] = "internal"

    def to_wire(self) -> dict[str, Any]:
        """The error map of the protocol (SPEC 8)."""
        return {"code": self.code, "message": str(self)}


class UsageError(StepweaveError):
    """A person gave the program something it cannot work with; the message says what to do."""

    code = "usage"


class InvalidInput(StepweaveError):
    """A value from outside has the wrong form."""

    code = "invalid_params"


class NotDeclared(StepweaveError):
    """A strict project's step emitted a topic that its config does not list."""

    code = "not_declared"


class TooLarge(StepweaveError):
    """A frame, body or value is over its limit."""

    code = "too_large"


class Unsupported(StepweaveError):
    """Data from outside has a form that is known and not read here."""

    code = "unsupported"


class ProtocolError(StepweaveError):
    """The other end of a pipe broke the protocol; `frame` shows what it sent, shortened."""

    code = "protocol_error"

    def __init__(self, message: str, frame: str = "") -> None:
        super().__init__(f"{message}: {frame}" if frame else message)
        self.frame = frame


class RunnerUnavailable(StepweaveError):
    """The language's runtime is missing or its runner cannot be started."""

    code = "busy"


class Busy(StepweaveError):
    """A limit on waiting work is reached; the same request may pass later."""

    code = "busy"


class RunnerGone(StepweaveError):
    """The child process ended while it ran this call."""

    code = "runner_gone"


class ShuttingDown(StepweaveError):
    """Stepweave is stopping and takes no new work."""

    code = "shutting_down"


class UnknownStep(StepweaveError):
    """No step of that name is loaded."""

    code = "unknown_step"


class UnknownStream(StepweaveError):
    """No stream of that name is loaded."""

    code = "stream_failed"


class Conflict(StepweaveError):
    """A compare-and-set found another value than the one expected."""

    code = "conflict"


class GivenUp(StepweaveError):
    """The handler that asked is over; what it asks for has no effect any more."""

    code = "cancelled"


class StoreFailed(StepweaveError):
    """The database refused an operation (full disk, read-only file, damage); nothing was kept."""

    code = "state_failed"


class RemoteError(StepweaveError):
    """A runner answered a request with an error; `wire` is its error map."""

    def __init__(self, wire: Mapping[str, Any]) -> None:
        super().__init__(str(wire.get("message", "")))
        self.wire = dict(wire)

    @property
    def remote_code(self) -> str:
        """The code that the runner gave."""
        return str(self.wire.get("code", "internal"))

    def to_wire(self) -> dict[str, Any]:
        """The runner's own error map, unchanged."""
        return self.wire


class LoadFailed(RemoteError):
    """A step file could not be loaded; `wire["data"]` may hold file, line and column."""

    code = "load_failed"
