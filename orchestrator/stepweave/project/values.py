"""How one setting is read: from TOML as typed there, or from the environment as text.

A reader returns the value or raises ValueError with the words that follow "must be".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = [
    "Reader", "choice", "flag", "folders", "from_size", "integer", "number", "optional", "origins",
    "seconds", "size", "text", "texts", "timezone", "variables",
]  # fmt: skip

T = TypeVar("T")
Reader = Callable[[Any], T]

_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^\s/?#@,*]+")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?b?|b)?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.IGNORECASE)
# Powers of two, as servers have always counted a body's megabytes.
_BYTES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def text(value: Any) -> str:
    """A string with something in it."""
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError("a string that is not empty")


def texts(value: Any) -> tuple[str, ...]:
    """A list of strings; in the environment they are separated by commas."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
        return tuple(value)
    raise ValueError("a list of strings")


def origins(value: Any) -> tuple[str, ...]:
    """A list of origins, as browsers send them: scheme, host and port alone, in lower case."""
    try:
        found = tuple(item.lower() for item in texts(value))
    except ValueError:
        found = ("",)
    if not all(_ORIGIN.fullmatch(each) for each in found):
        raise ValueError('a list of origins such as "https://shop.example", without a path')
    return found


def flag(value: Any) -> bool:
    """true or false; in the environment also 1, 0, yes, no, on, off."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "1", "yes", "on"):
            return True
        if word in ("false", "0", "no", "off"):
            return False
    raise ValueError("true or false")


def integer(least: int, most: int | None = None) -> Reader[int]:
    """A whole number in a range; `most` None leaves the end open."""

    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value.strip()):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and _within(value, least, most):
            return value
        raise ValueError(f"a whole number {_range(least, most)}")

    return read


def number(least: float, most: float | None = None) -> Reader[float]:
    """A number in a range; `most` None leaves the end open."""

    def read(value: Any) -> float:
        if isinstance(value, str):
            value = _parsed(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if _within(value, least, most):
                return float(value)
        raise ValueError(f"a number {_range(least, most)}")

    return read


def seconds(least: float = 0.0, most: float | None = None) -> Reader[float]:
    """A length of time: seconds, or a string such as "250ms", "5m", "2h"."""

    def read(value: Any) -> float:
        if isinstance(value, str):
            found = _DURATION.fullmatch(value.strip())
            value = float(found[1]) * _SECONDS[(found[2] or "").lower()] if found else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            if _within(value, least, most):
                return float(value)
        raise ValueError(f'seconds or a string such as "5m", {_range(least, most)} s')

    return read


def size(least: int = 0) -> Reader[int]:
    """A number of bytes, or a string such as "512KB", "16MB"."""

    def read(value: Any) -> int:
        if isinstance(value, str):
            found = _SIZE.fullmatch(value.strip())
            value = int(float(found[1]) * _BYTES[(found[2] or "")[:1].lower()]) if found else None
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        raise ValueError(f'bytes or a string such as "16MB", at least {least}')

    return read


def from_size(usual: int) -> Reader[int | None]:
    """A number of bytes from which on, `usual` for true, None for false."""

    def read(value: Any) -> int | None:
        try:
            return usual if flag(value) else None
        except ValueError:
            pass
        try:
            return size(1)(value)
        except ValueError as error:
            raise ValueError(f"true, false, or {error}") from None

    return read


def choice(*names: str) -> Reader[Any]:
    """One of a few words."""

    def read(value: Any) -> str:
        if isinstance(value, str) and value in names:
            return value
        raise ValueError(" or ".join(f'"{name}"' for name in names))

    return read


def optional(reader: Reader[T]) -> Reader[T | None]:
    """What the reader takes, or an empty string for None (TOML has no null)."""

    def read(value: Any) -> T | None:
        return None if value == "" else reader(value)

    return read


def timezone(value: Any) -> str:
    """The IANA name of a time zone that this machine knows."""
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(value).key
    except (KeyError, ValueError, TypeError, OSError):
        raise ValueError("the name of a time zone, such as Europe/Berlin") from None


def folders(value: Any) -> Mapping[str, str]:
    """Folders by URL path; one folder alone is that of "/". In the environment: /a=x,/b=y."""
    if isinstance(value, str):
        pairs = [part.strip().rpartition("=") for part in value.split(",") if part.strip()]
        value = {path.strip() or "/": folder.strip() for path, _, folder in pairs}
    if isinstance(value, dict) and all(
        isinstance(folder, str) and folder and path.startswith("/")
        for path, folder in value.items()
    ):
        return dict(value)
    raise ValueError('a folder such as "public", or a table such as { "/assets" = "public" }')


def variables(value: Any) -> Mapping[str, str]:
    """A table of environment variables; numbers and booleans become text."""
    if isinstance(value, dict) and all(
        isinstance(item, str | int | float) for item in value.values()
    ):
        return {
            key: str(item).lower() if isinstance(item, bool) else str(item)
            for key, item in value.items()
        }
    raise ValueError("a table of strings")


def _parsed(value: str) -> Any:
    try:
        return float(value)
    except ValueError:
        return value


def _within(value: float, least: float, most: float | None) -> bool:
    return value >= least and (most is None or value <= most)


def _range(least: float, most: float | None) -> str:
    return f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"
