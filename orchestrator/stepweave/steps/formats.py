"""What counts as a time, a duration or a URL: all that common libraries write, zone or none."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

__all__ = ["FORMATS"]

# RFC 3339, also without a zone or seconds: what datetime.isoformat() gives for a naive value,
# and a browser's field for date and time.
_CLOCK = r"(\d\d:\d\d)(?::(?:[0-5]\d|60)(?:\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?\Z"
_TIME = re.compile(_CLOCK, re.ASCII)
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ]" + _CLOCK, re.ASCII)

_NUMBER = r"(?:\d+(?:[.,]\d+)?)"
# ISO 8601; fractions are what libraries write for less than a second.
_DURATION = re.compile(
    rf"[+-]?P(?=\d|T\d)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?\Z",
    re.ASCII,
)

# As browsers read them: letters of every script, and signs that RFC 3986 wants escaped.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f]+\Z")


def _is_date_time(text: str) -> bool:
    found = _DATE_TIME.match(text)
    return found is not None and _is_possible(found[1], found[2], found[3])


def _is_time(text: str) -> bool:
    found = _TIME.match(text)
    return found is not None and _is_possible("2000-01-01", found[1], found[2])


def _is_possible(date: str, clock: str, zone: str | None) -> bool:
    try:
        datetime.fromisoformat(f"{date}T{clock}:00")
    except ValueError:
        return False
    return zone is None or zone in "Zz" or (int(zone[1:3]) < 24 and int(zone[4:]) < 60)


def _is_duration(text: str) -> bool:
    return _DURATION.match(text) is not None


def _is_url(text: str) -> bool:
    if _URL.match(text) is None:
        return False
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) or parts.scheme not in ("http", "https")


FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _is_date_time,
    "time": _is_time,
    "duration": _is_duration,
    "uri": _is_url,
}
"""Checks of formats in place of the validator's own; each gets a string."""
