"""Faults under load, each as a function that raises AssertionError when a promise is broken.

The quick tests run them small, `make soak` runs them long.
"""

from __future__ import annotations

from tests.faults.scenarios import (
    atomic,
    backlog,
    drains,
    edits,
    flood,
    kills,
    limits,
    memory,
    power,
    topics,
    trees,
)
from tests.faults.scenarios.scale import Scenario

__all__ = ["SCENARIOS"]

SCENARIOS: dict[str, tuple[Scenario, int, int]] = {
    "kills": (kills.run, 100_000, 230),
    "atomic": (atomic.run, 20_000, 60),
    "power": (power.run, 0, 30),
    "drains": (drains.run, 0, 100),
    "edits": (edits.run, 0, 500),
    "flood": (flood.run, 200_000, 0),
    "backlog": (backlog.run, 100_000, 0),
    "topics": (topics.run, 1_000, 0),
    "limits": (limits.run, 10_000, 60),
    "trees": (trees.run, 2_000, 100),
    "memory": (memory.run, 100_000, 0),
}
"""By name: the scenario, and how many events and faults a soak of it has."""
