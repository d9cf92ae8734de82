"""Rows of text in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stepweave.paint import plain

__all__ = ["table"]

_WIDEST = 72


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """One line a row; a long or broken text is cut to one line of its own."""
    lines = [list(head), *([_cell(text) for text in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join(text) + "\n"


def _cell(text: str) -> str:
    text = plain(" ".join(text.split("\n")))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
