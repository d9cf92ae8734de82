"""The lines of source around a problem, for consoles and the workbench."""

from __future__ import annotations

__all__ = ["code_frame"]

MAX_WIDTH = 160


def code_frame(source: str, line: int, column: int | None = None, context: int = 2) -> str:
    """The line with its neighbours, numbered, a `>` before it and a caret under the column.

        2 |   type: 'event',
      > 3 |   name: 42,
          |         ^
        4 |   subscribes: [],

    Lines and columns start at 1. A line beyond the end gives the last lines without a marker;
    an empty source gives "". Tabs count as two columns, long lines are cut.
    """
    lines = source.splitlines()
    if not lines:
        return ""
    line = max(line, 1)
    first = max(1, min(line, len(lines)) - context)
    last = min(len(lines), line + context)
    width = len(str(last))
    shown = []
    for number in range(first, last + 1):
        text = lines[number - 1]
        mark = ">" if number == line else " "
        shown.append(f"{mark} {number:>{width}} | {_clean(text)}".rstrip())
        if number == line and column is not None and 1 <= column <= min(len(text) + 1, MAX_WIDTH):
            shown.append(f"  {' ' * width} | {' ' * len(_clean(text[: column - 1]))}^")
    return "\n".join(shown)


def _clean(text: str) -> str:
    """The text in one printable row: tabs as two spaces, no control characters, not too long."""
    row = _printable(text.replace("\t", "  "))
    return row if len(row) <= MAX_WIDTH else f"{row[:MAX_WIDTH]}…"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
