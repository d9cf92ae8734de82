"""How thorough a run is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """`rounds` in which the cases take turns, `seconds` per measurement.

    What takes long by nature has `long_rounds` and `long_hops`.
    """

    rounds: int
    seconds: float
    long_rounds: int
    long_hops: int


QUICK = Settings(rounds=3, seconds=0.6, long_rounds=2, long_hops=100_000)
FULL = Settings(rounds=7, seconds=4.0, long_rounds=5, long_hops=1_000_000)
