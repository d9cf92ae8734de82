"""The cookies that a client sends, as a handler gets them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

__all__ = ["parse"]

_MOST = 1000


def parse(header: Any) -> dict[str, str]:
    """Cookies by name. The first of a name counts, as the one of the longest path.

    Percent-encoded values are decoded if that gives UTF-8, and are as they came if not. What
    is no `name=value` is left out.
    """
    text = "; ".join(header) if isinstance(header, list) else header
    found: dict[str, str] = {}
    for part in text.split(";", _MOST)[:_MOST]:
        name, equals, value = part.partition("=")
        name = name.strip(" \t")
        if equals and name and name not in found:
            found[name] = _value(value.strip(" \t"))
    return found


def _value(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        return text
