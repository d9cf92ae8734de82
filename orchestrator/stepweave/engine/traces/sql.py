"""Small parts of the questions to the trace file, and of their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Where", "key", "like", "merged", "of_spans", "places"]


class Where:
    """Conditions of a query, all of which must hold."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.values: list[Any] = []

    def add(self, condition: str, *values: Any) -> None:
        self.conditions.append(condition)
        self.values.extend(values)

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


def of_spans(condition: str) -> str:
    """The condition on a trace that some span of it meets this one."""
    return f"EXISTS (SELECT 1 FROM spans WHERE spans.trace_id = traces.trace_id AND {condition})"


def places(items: Sequence[Any]) -> str:
    """As many parameters as there are items."""
    return ", ".join("?" * len(items))


def like(text: str) -> str:
    """The pattern, with `\\` as escape, of what contains the text."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def key(hex_digits: str) -> bytes | None:
    """An id as it is stored; None if it is none."""
    try:
        return bytes.fromhex(hex_digits)
    except ValueError:
        return None


def merged(first: list[str], more: Iterable[str]) -> list[str]:
    """Both lists without repeats, in the order of first appearance."""
    return list(dict.fromkeys([*first, *more]))
