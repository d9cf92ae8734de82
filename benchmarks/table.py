"""What a benchmark gives: rows of figures, each with its ratio to a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Row", "Table", "render", "short"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line: `figures` by column; `ratio` is the share of the baseline named by `against`."""

    name: str
    figures: Mapping[str, float]
    ratio: float | None = None
    against: str | None = None


@dataclass(slots=True)
class Table:
    """One benchmark's rows. Units end the column names: `/s`, ` µs`, ` MB`."""

    title: str
    columns: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    foreign_cores: float = 0.0
    """How many cores processes that are not ours kept busy meanwhile."""


def short(value: float) -> str:
    """Three significant digits, with a k for thousands and an M for millions."""
    for limit, divisor, suffix in ((1e6, 1e6, " M"), (1e3, 1e3, " k")):
        if abs(value) >= limit:
            value, end = value / divisor, suffix
            break
    else:
        end = ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}{end}"


def cell(column: str, value: float) -> str:
    """A figure as a person reads it: times carry their own unit, µs, ms or s."""
    if not column.endswith(" µs"):
        return short(value)
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if value >= limit:
            return f"{short(value / limit)} {unit}"
    return f"{short(value)} µs"


def render(table: Table) -> str:
    """The table as text, columns aligned."""
    head = ["", *(column.removesuffix(" µs") for column in table.columns), "ratio"]
    body = [
        [
            row.name,
            *(cell(c, row.figures[c]) if c in row.figures else "" for c in table.columns),
            f"{row.ratio:.2f} of {row.against}" if row.ratio is not None else "",
        ]
        for row in table.rows
    ]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    lines = [table.title, *(_line(line, widths) for line in [head, *body])]
    lines += [f"  note: {note}" for note in table.notes]
    return "\n".join(lines)


def _line(cells: Iterable[str], widths: list[int]) -> str:
    first, *rest = cells
    last = rest.pop()
    middle = (cell.rjust(width) for cell, width in zip(rest, widths[1:-1], strict=True))
    return "  ".join(["  " + first.ljust(widths[0]), *middle, last]).rstrip()
