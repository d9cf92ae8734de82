"""How people name languages, sizes and times to come."""

from __future__ import annotations

import time

__all__ = ["language", "plural", "size", "until"]

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
