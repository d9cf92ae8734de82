"""Where in a source file a key of its config stands: a text search, good enough to point at.

The source may be TypeScript, JavaScript, Python, Ruby or something else that writes
`key: value`, `"key": value`, `"key" => value` or `key=value`. Nothing is parsed, so a miss
gives None and a file that builds its config in an odd way may be pointed at wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Position", "config", "key", "text"]

CONFIG = re.compile(
    r"\bconfig\s*(?::[^=\n{]+)?=(?![=>])|\bconfig\s*:\s*\{|\b(?:def|function)\s+(?:self\.)?config\b"
)
COMMENT = re.compile(r"[ \t]*(#|//|\*|/\*)")
MAX_SOURCE = 1_000_000


class Position(NamedTuple):
    """A place in a file; both numbers start at 1."""

    line: int
    column: int


def config(source: str) -> Position | None:
    """Where the config begins."""
    offset = _config_offset(source)
    return None if offset is None else _position(source, offset)


def key(source: str, path: str) -> Position | None:
    """Where a key such as "infrastructure.queue.maxRetries" stands.

    Each part is looked for after the one before it, in camelCase and in snake_case. When a
    later part is not found the position of the last one found is given.
    """
    if len(source) > MAX_SOURCE:
        return None
    start = _config_offset(source) or 0
    best = None
    for part in re.split(r"[.\[\]]+", path):
        if not part or part.isdigit():
            continue
        offset = next(_keys(source, part, start), None)
        if offset is None:
            break
        best = start = offset
        start += 1
    return None if best is None else _position(source, best)


def text(source: str, value: str, after: str | None = None) -> Position | None:
    """Where a quoted text such as a topic stands, looked for from the key `after` on."""
    if len(source) > MAX_SOURCE:
        return None
    start = _config_offset(source) or 0
    if after is not None:
        start = next(_keys(source, after, start), start)
    quoted = re.compile(rf"""(["'`]){re.escape(value)}\1""")
    found = next(_outside_comments(source, quoted, start), None)
    return None if found is None else _position(source, found)


def _config_offset(source: str) -> int | None:
    return next(_outside_comments(source, CONFIG, 0), None)


def _keys(source: str, name: str, start: int) -> Iterator[int]:
    names = "|".join(re.escape(each) for each in dict.fromkeys((name, _snake(name))))
    pattern = re.compile(
        rf"""(?<![\w$.])(?:(["'])(?:{names})\1\s*(?:=>|:|\])"""
        rf"""|:?(?:{names})\??\s*(?:=>|=(?!=)|:(?!:)|,))"""
    )
    return _outside_comments(source, pattern, start)


def _outside_comments(source: str, pattern: re.Pattern[str], start: int) -> Iterator[int]:
    for found in pattern.finditer(source, start):
        line = source.rfind("\n", 0, found.start()) + 1
        if not COMMENT.match(source, line):
            yield found.start()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _position(source: str, offset: int) -> Position:
    line = source.count("\n", 0, offset) + 1
    return Position(line, offset - (source.rfind("\n", 0, offset) + 1) + 1)
