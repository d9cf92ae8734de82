"""Subscriptions of steps that do not load, so that their events are kept for them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Awaited"]


class Awaited(NamedTuple):
    """What is known of such a step from when it last loaded; `topics` are those it takes."""

    name: str
    topics: tuple[str, ...]
    delay_ms: int
    priority: int
