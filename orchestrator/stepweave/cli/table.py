"""Rows of text in columns."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from stepweave.paint import Paint, plain, wants_color

__all__ = ["Style", "show", "table"]

Style = Callable[[Paint, str], str]
"""Dresses a cell, which may end in spaces."""

_WIDEST = 72
_NARROWEST = 12


def show(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    styles: Mapping[str, Style] | None = None,
) -> None:
    """Write a table to stdout: as wide as the terminal, and coloured where that is wanted.

    `styles` goes by the heading of a column. A column that is empty throughout is left out.
    """
    found = list(rows)
    kept = [n for n in range(len(head)) if not found or any(row[n] for row in found)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    text = table(
        [head[n] for n in kept],
        [[row[n] for n in kept] for row in found],
        styles=styles,
        paint=Paint(wants_color(sys.stdout)),
        width=width,
    )
    sys.stdout.write(text)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    styles: Mapping[str, Style] | None = None,
    paint: Paint | None = None,
    width: int | None = None,
) -> str:
    """One line a row; a long or broken text is cut to one line, the last one to the width."""
    paint = paint or Paint(False)
    lines = [list(head), *([_cell(text, _WIDEST) for text in row] for row in rows)]
    if width is not None:
        before = sum(max(map(len, column)) + 2 for column in list(zip(*lines, strict=True))[:-1])
        for line in lines[1:]:
            line[-1] = _cell(line[-1], max(_NARROWEST, width - before))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = 0
    padded = [[f"{it:<{size}}" for it, size in zip(line, widths, strict=True)] for line in lines]
    dress = [(styles or {}).get(name, _as_it_is) for name in head]
    text = ["  ".join(map(paint.dim, padded[0]))]
    text += [
        "  ".join(style(paint, cell) for style, cell in zip(dress, line, strict=True))
        for line in padded[1:]
    ]
    return "\n".join(line.rstrip() for line in text) + "\n"


def _as_it_is(_paint: Paint, text: str) -> str:
    return text


def _cell(text: str, widest: int) -> str:
    text = plain(" ".join(text.split("\n")))
    return text if len(text) <= widest else f"{text[: widest - 1]}…"
