"""JSON text laid out for people, with nothing in it changed."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["pretty"]

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
# They could steer a terminal; JSON has another spelling for them.
_CONTROL = re.compile(r"[\x7f-\x9f]")


def pretty(text: str) -> str:
    """JSON with a line for each item, and a line end; numbers and strings stay as written."""
    laid = "".join(_laid(text)) + "\n"
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", laid)


def _laid(text: str) -> Iterator[str]:
    depth, opened = 0, False
    for found in _TOKEN.finditer(text):
        token = found.group()
        closes = token in ("}", "]")
        depth -= closes
        if opened != closes:
            yield f"\n{'  ' * depth}"
        opened = token in ("{", "[")
        depth += opened
        yield token
        if token == ",":
            yield f"\n{'  ' * depth}"
        elif token == ":":
            yield " "
