"""Log records of steps and of Stepweave itself, put into the hub and into their spans."""

from __future__ import annotations

from stepweave.calls import Call, now_ms
from stepweave.logs import RANK, LogHub, Record

__all__ = ["Records"]

_SOURCES = frozenset({"logger", "stdout", "stderr"})
_SHOWN = 200


class Records:
    """Implements runners.context.LogSink and the `notice` callbacks of the engine."""

    def __init__(self, hub: LogHub) -> None:
        self._hub = hub

    def from_step(
        self,
        call: Call | None,
        level: str,
        message: str,
        fields: bytes | None,
        at: int,
        source: str,
    ) -> None:
        """A record from a handler, or from a runner outside of any."""
        level = level if level in RANK else "info"
        source = source if source in _SOURCES else "logger"
        at = at or now_ms()
        if call is None:
            self._hub.emit(Record(at, level, message, fields, source=source))  # type: ignore[arg-type]
            return
        span = call.span
        span.add("log", level, message[:_SHOWN])
        self._hub.emit(
            Record(at, level, message, fields, span.trace_id, span.span_id, call.step.name, source)  # type: ignore[arg-type]
        )

    def from_stderr(self, runner: str, line: str) -> None:
        """A line that a runner's process wrote to its stderr, from no handler that is known."""
        self._hub.emit(Record(now_ms(), "warn", line, None, step=f"({runner})", source="stderr"))

    def notice(self, level: str, message: str, call: Call | None = None) -> None:
        """Something that Stepweave says, about a call if there is one."""
        if call is None:
            self._hub.log(level, message)  # type: ignore[arg-type]
            return
        span = call.span
        span.add("log", level, message[:_SHOWN])
        self._hub.log(
            level,  # type: ignore[arg-type]
            message,
            step=call.step.name,
            trace_id=span.trace_id,
            span_id=span.span_id,
        )
