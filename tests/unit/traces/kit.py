"""What the tests of the trace store share: settings, spans and records made at a known time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepweave.engine.traces import TraceStore
from stepweave.logs import Level, Record
from stepweave.trace import Span

__all__ = ["HOUR_US", "NOW_US", "A", "B", "C", "Open", "Settings", "log", "put", "span"]

HOUR_US = 3_600_000_000
NOW_US = 1_700_000_000_000_000
A, B, C = ("a" * 32, "b" * 32, "c" * 32)


@dataclass(frozen=True)
class Settings:
    enabled: bool = True
    retention_hours: float = 1_000_000
    max_mb: float = 100
    preview_bytes: int = 50


Open = Callable[..., TraceStore]


def span(
    trace_id: str = A,
    name: str = "Pay",
    *,
    at: int = 0,
    ms: int = 10,
    wait_ms: int = 0,
    status: Any = "ok",
    error: dict[str, Any] | None = None,
    output: Any = None,
    language: str = "python",
    **more: Any,
) -> Span:
    """A finished span that was accepted `at` ms after NOW."""
    made = Span(trace_id, name, "event", language, **more)
    made.queued_at = NOW_US + at * 1000
    made.started_at = made.queued_at + wait_ms * 1000
    made.finish(status, error=error, output=output)
    made.ended_at = made.started_at + ms * 1000
    return made


def log(message: str, level: Level = "info", at: int = 0, **more: Any) -> Record:
    return Record(NOW_US // 1000 + at, level, message, **more)


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
