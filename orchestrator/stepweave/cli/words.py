"""How people name languages, sizes and times to come."""

from __future__ import annotations

import json
import shlex
import time

__all__ = ["language", "name", "plural", "quoted", "size", "stamp", "until", "when"]

_LANGUAGES = {"typescript": "TypeScript", "javascript": "JavaScript", "php": "PHP"}


def language(name: str) -> str:
    """The language's name as its users write it."""
    return _LANGUAGES.get(name, name.capitalize())


def plural(count: int, noun: str, many: str | None = None) -> str:
    """ "1 step", "2 steps"; `many` is a plural that takes more than an s."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def size(count: int) -> str:
    """A number of bytes, in the unit a person would use."""
    if count < 1024:
        return f"{count} B"
    number = float(count)
    for unit in ("kB", "MB", "GB"):
        number /= 1024
        if number < 1024 or unit == "GB":
            break
    return f"{number:.1f} {unit}"


def name(text: str) -> str:
    """A name as it is, or as JSON where one could not see where it begins and ends."""
    plain = text.isprintable() and text == text.strip() and text
    return text if plain else json.dumps(text, ensure_ascii=not text.isprintable())


def quoted(text: str) -> str:
    """A word for the shell."""
    if text.isprintable():
        return shlex.quote(text)
    inner = "".join(
        char if char.isprintable() and char not in "'\\" else _escaped(char) for char in text
    )
    return f"$'{inner}'"


def stamp(at: int) -> str:
    """A moment, in Unix ms, as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at / 1000))


def when(at: int, now: int) -> str:
    """A moment that is past or to come, both in Unix ms: "3 min ago", "in 40 s"."""
    if at > now:
        return until(at, now)
    seconds = (now - at) // 1000
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def until(at: int, now: int) -> str:
    """When something is due, both in Unix ms: "in 40 s", "in 3 h", or the local date."""
    seconds = max(0, (at - now + 500) // 1000)
    if seconds < 60:
        return f"in {seconds} s"
    if seconds < 3600:
        return f"in {seconds // 60} min"
    if seconds < 24 * 3600:
        return f"in {seconds // 3600} h, at {time.strftime('%H:%M', time.localtime(at / 1000))}"
    return time.strftime("%a %d %b %Y %H:%M", time.localtime(at / 1000))


def _escaped(char: str) -> str:
    if char in "'\\":
        return f"\\{char}"
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
