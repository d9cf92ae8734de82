"""Stands in for `pandas`: the eight operations of the seed's analytics step, on plain lists.

Tests of the flow need neither the weight nor the download of the real one; the results are equal.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from datetime import datetime
from typing import Any


class Series:
    """One column."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __ge__(self, other: Any) -> Series:
        return Series([value >= other for value in self.values])

    def mean(self) -> float:
        """The average of the column."""
        return sum(self.values) / len(self.values)

    def value_counts(self) -> Counts:
        """How often each value occurs, most frequent first."""
        return Counts(collections.Counter(self.values).most_common())


class Counts:
    """Pairs of value and count."""

    def __init__(self, pairs: list[tuple[Any, int]]) -> None:
        self.pairs = pairs

    def head(self, count: int) -> Counts:
        """The first few."""
        return Counts(self.pairs[:count])

    def to_dict(self) -> dict[Any, int]:
        """Value to count."""
        return dict(self.pairs)


class DataFrame:
    """Rows as dicts, columns as they are asked for."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = [dict(row) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, column: str) -> bool:
        return any(column in row for row in self.rows)

    def __getitem__(self, key: str | Series) -> Any:
        if isinstance(key, Series):
            return DataFrame([row for row, keep in zip(self.rows, key, strict=True) if keep])
        return Series([row[key] for row in self.rows])

    def __setitem__(self, column: str, values: Series) -> None:
        for row, value in zip(self.rows, values, strict=True):
            row[column] = value


def to_datetime(column: Series) -> Series:
    """Texts in ISO 8601 as times; with a zone in, with a zone out."""
    return Series([datetime.fromisoformat(text) for text in column])
