"""How long a scenario goes on, and what it tells."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Figures", "Scale", "Scenario"]

Figures = dict[str, str]
"""What a scenario measured, for people: a name and a figure with its unit."""


def _quiet(_text: str) -> None:
    pass


@dataclass(frozen=True)
class Scale:
    """`events` are accepted and `faults` done to the system, at moments that `seed` decides."""

    events: int
    faults: int
    seed: int = 1
    say: Callable[[str], None] = _quiet
    """Gets where the scenario is, a few times a second at the most."""

    def dice(self, name: str = "") -> random.Random:
        """Random numbers that are the same for the same seed and name."""
        return random.Random(f"{self.seed} {name}")


Scenario = Callable[[Path, Scale], Figures]
"""Runs in an empty folder."""
