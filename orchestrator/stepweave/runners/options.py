"""What a project says about one runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["PoolOptions"]


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How the children of one runner are started and kept; durations in seconds.

    A child is replaced gently after `recycle_calls` calls or over `recycle_mb` megabytes, and
    like a stuck one when it leaves a ping unanswered for `unresponsive_s`; 0 is never.
    """

    processes: int = 1
    interpreter: str | None = None
    window: int = 1000
    start_timeout_s: float = 30.0
    restart_base_s: float = 0.1
    restart_cap_s: float = 5.0
    cancel_grace_s: float = 5.0
    lag_warning_s: float = 1.0
    unresponsive_s: float = 0.0
    recycle_calls: int = 0
    recycle_mb: float = 0.0
    parses: bool = False
    """Whether the input of steps whose config does not say it is parsed by their schemas."""
    middleware: tuple[str, ...] = ()
    """Absolute paths of the files that run around the API steps, outermost first."""
    env: Mapping[str, str] = field(default_factory=dict)
