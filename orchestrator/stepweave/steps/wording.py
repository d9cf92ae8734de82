"""Words for messages: what a value is, lists, and the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["a", "closest", "listing", "quote"]


def a(value: Any) -> str:
    """What a JSON value is, with its article: "a string", "a list", "null"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bytes | bytearray):
        return "bytes"
    return "an object"


def quote(value: Any, limit: int = 60) -> str:
    """What the author wrote, shortened: strings in double quotes, others as they print."""
    text = value if isinstance(value, str) else repr(value)
    if len(text) > limit:
        text = f"{text[:limit]}…"
    return f'"{text}"' if isinstance(value, str) else text


def listing(words: Iterable[str], last: str = "or") -> str:
    """ "a, b or c"."""
    items = list(words)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    folded = {item.lower().replace("_", "").replace("-", ""): item for item in known}
    wanted = word.lower().replace("_", "").replace("-", "")
    found = difflib.get_close_matches(wanted, folded, n=1, cutoff=0.7)
    return folded[found[0]] if found else None
