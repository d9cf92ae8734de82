"""How thorough a run is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """`rounds` in which the cases take turns, `seconds` per measurement."""

    rounds: int
    seconds: float


QUICK = Settings(rounds=3, seconds=0.6)
FULL = Settings(rounds=7, seconds=4.0)
