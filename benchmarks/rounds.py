"""Baseline and product take turns, A B A B, so that whatever else the machine does hits both."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.table import Row

__all__ = ["Case", "Figures", "medians", "take_turns"]

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """Something to measure. `against` names the case that its ratio refers to, if any."""

    name: str
    measure: Callable[[], Figures]
    against: str | None = None


def take_turns(
    cases: Sequence[Case], rounds: int, ratio_of: str, *, smaller_is_better: bool = False
) -> list[Row]:
    """Measure every case once a round; returns medians, and the median of the rounds' ratios.

    `ratio_of` is the figure that ratios compare. 1.0 is as good as the baseline, more is
    better, whichever way the figure itself points.
    """
    seen: dict[str, list[Figures]] = {case.name: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            seen[case.name].append(case.measure())
    return [_row(case, seen, ratio_of, smaller_is_better) for case in cases]


def medians(rounds: Iterable[Figures]) -> Figures:
    """The median of each figure over the rounds."""
    columns: dict[str, list[float]] = {}
    for figures in rounds:
        for name, value in figures.items():
            columns.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in columns.items()}


def _row(
    case: Case, seen: Mapping[str, list[Figures]], ratio_of: str, smaller_is_better: bool
) -> Row:
    own = seen[case.name]
    if case.against is None:
        return Row(case.name, medians(own))
    ratios = []
    for mine, theirs in zip(own, seen[case.against], strict=True):
        ratio = mine[ratio_of] / theirs[ratio_of]
        ratios.append(1 / ratio if smaller_is_better else ratio)
    return Row(case.name, medians(own), statistics.median(ratios), case.against)
