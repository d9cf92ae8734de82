"""Text for terminals: colours where they are wanted, and nothing in it that steers them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TextIO

__all__ = ["Paint", "plain", "wants_color"]

# What a user's text could do harm with: escape sequences, backspaces, carriage returns.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Paint:
    """ANSI colours, or none: every method gives its text back, dressed or as it is."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, text: str, *codes: int) -> str:
        """The text in SGR codes, such as 1 (bold) and 36 (cyan)."""
        if not self.color or not text:
            return text
        return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m"

    def dim(self, text: str) -> str:
        return self(text, 90)

    def bold(self, text: str) -> str:
        return self(text, 1)

    def red(self, text: str) -> str:
        return self(text, 31)

    def green(self, text: str) -> str:
        return self(text, 32)

    def yellow(self, text: str) -> str:
        return self(text, 33)

    def blue(self, text: str) -> str:
        return self(text, 34)

    def cyan(self, text: str) -> str:
        return self(text, 36)


def wants_color(stream: TextIO, env: Mapping[str, str] | None = None) -> bool:
    """Whether to colour: a terminal, unless NO_COLOR or TERM=dumb; FORCE_COLOR decides too."""
    env = os.environ if env is None else env
    if env.get("NO_COLOR"):
        return False
    if env.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and env.get("TERM") != "dumb"


def plain(text: str) -> str:
    """The text with control characters spelled out, so that a log cannot steer the terminal."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
