"""When a cron step is due: the expression, checked, and the times that it stands for."""

from __future__ import annotations

import os
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from croniter import croniter

from stepweave.errors import StepweaveError
from stepweave.steps import wording

__all__ = ["MACROS", "Schedule", "ScheduleError", "local_zone", "zone"]

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIELDS = ("second", "minute", "hour", "day", "month", "weekday")
WORDS = frozenset(
    "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC SUN MON TUE WED THU FRI SAT L W LW".split()
)
LONG_NAMES = (
    "January February March April June July August September October November December "
    "Sunday Monday Tuesday Wednesday Thursday Friday Saturday"
).split()
LONG_NAME = re.compile(rf"\b(?:{'|'.join(LONG_NAMES)})\b", re.IGNORECASE)
FORM = (
    "write five fields (minute hour day month weekday), six with seconds first, "
    "or a name such as @daily"
)


class ScheduleError(StepweaveError):
    """An expression or time zone that gives no times; `code` is bad_cron or bad_timezone."""

    code = "bad_cron"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ZoneError(ScheduleError):
    """A time zone that is not in the IANA database of this machine."""

    code = "bad_timezone"


class Schedule:
    """The times of a cron expression in a time zone (None: the server's).

    Daylight saving: a time that the clock skips in spring is due right after the gap. In the
    repeated autumn hour, an expression with fixed hours is due once, the first time round, and
    one with `*`, `*/2` or all hours goes on by the real clock.
    Raises ScheduleError if the expression is not one, or has no times (0 0 31 2 *).
    """

    __slots__ = ("_every_hour", "_fields", "_fixed_hour", "expression", "timezone")

    def __init__(self, expression: str, timezone: str | None = None) -> None:
        self.expression = expression
        self.timezone = local_zone() if timezone is None else zone(timezone)
        fields = _fields(expression)
        _check(expression, fields)
        self._fields = " ".join(fields)
        hours = croniter.expand(self._fields, second_at_beginning=True)[0][1]
        self._every_hour = hours == ["*"]
        self._fixed_hour = not (self._every_hour or fields[-4].startswith("*"))
        self.after(0)

    def after(self, at: int) -> int:
        """The first time due later than `at`; both in Unix milliseconds."""
        moment = datetime.fromtimestamp(at / 1000, UTC)
        wall = self._wall(moment)
        due: datetime | None = None
        while due is None or due <= moment:
            wall = self._next_on_wall(wall)
            due = self._instant(wall, moment)
        if not self._fixed_hour:
            due = self._repeated(moment, due) or due
        return round(due.timestamp() * 1000)

    def _next_on_wall(self, wall: datetime) -> datetime:
        """The next time that the expression names, on a clock that never changes."""
        times = croniter(self._fields, wall, second_at_beginning=True)
        try:
            found: datetime = times.get_next(datetime)
        except ValueError as error:
            message = f"{wording.quote(self.expression)} never happens: there is no such date"
            raise ScheduleError(message, "choose a day that the month has") from error
        return found

    def _instant(self, wall: datetime, moment: datetime) -> datetime | None:
        """When the zone's clocks show a time; None if they skip it and it is left out.

        Of two such moments it is the first, or for an interval the first after `moment`.
        """
        first, second = (self._moment(wall, fold) for fold in (0, 1))
        if self._wall(first) != wall:
            return None if self._every_hour else self._change(second, first)
        return second if first <= moment and not self._fixed_hour else first

    def _repeated(self, moment: datetime, due: datetime) -> datetime | None:
        """The first time after `moment` that clocks show again because they are set back."""
        soon = min(due, moment + timedelta(days=1))
        if self._offset(soon) >= self._offset(moment):
            return None
        change = self._wall(self._change(moment, soon))
        again = self._moment(self._next_on_wall(change - timedelta(seconds=1)), fold=1)
        return again if moment < again < due else None

    def _change(self, before: datetime, after: datetime) -> datetime:
        """The second at which the zone's clocks change between two moments."""
        old = self._offset(before)
        low, high = int(before.timestamp()), int(after.timestamp())
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(datetime.fromtimestamp(middle, UTC)) == old:
                low = middle
            else:
                high = middle
        return datetime.fromtimestamp(high, UTC)

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.timezone).replace(tzinfo=None)

    def _moment(self, wall: datetime, fold: int) -> datetime:
        return wall.replace(tzinfo=self.timezone, fold=fold).astimezone(UTC)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self.timezone).utcoffset() or timedelta(0)

    def between(self, since: int, until: int, limit: int) -> list[int]:
        """The times due after `since` and not after `until`, of many the `limit` newest.

        All in Unix milliseconds. The work grows with `limit`, not with how long ago `since` is.
        """
        few, many = until, None
        width = limit * 1000
        start = max(since, until - width)
        while True:
            times = self._up_to(start, until, 4 * limit)
            if len(times) > 4 * limit:
                many = start
            elif len(times) >= limit or start <= since:
                return times[-limit:]
            else:
                few = start
                width *= 4
            start = max(since, until - width) if many is None else (many + few) // 2

    def upcoming(self, at: int, count: int) -> list[int]:
        """The next times due after `at`, in Unix milliseconds."""
        times = []
        for _ in range(count):
            at = self.after(at)
            times.append(at)
        return times

    def _up_to(self, at: int, until: int, most: int) -> list[int]:
        """The times due after `at` and not after `until`, up to one more than `most`."""
        times: list[int] = []
        while len(times) <= most and (at := self.after(at)) <= until:
            times.append(at)
        return times


def zone(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises ScheduleError if this machine does not know it."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        known = sorted(zoneinfo.available_timezones())
        city = [each for each in known if each.lower().endswith(f"/{name.lower()}")]
        meant = city[0] if city and name else wording.closest(name, known)
        hint = f"did you mean {meant}?" if meant else "write an IANA name such as Europe/Berlin"
        raise ZoneError(f"{wording.quote(name)} is not a time zone", hint) from error


def local_zone() -> tzinfo:
    """The server's time zone with its rules for daylight saving; UTC if it cannot be told."""
    name = os.environ.get("TZ", "").removeprefix(":")
    link = Path("/etc/localtime")
    if not name and link.is_symlink():
        _, found, name = os.path.realpath(link).partition("/zoneinfo/")
        name = name if found else ""
    if name:
        try:
            return zone(name)
        except ScheduleError:
            pass
    try:
        with link.open("rb") as file:
            return zoneinfo.ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC


def _fields(expression: str) -> list[str]:
    text = expression.strip()
    if text.startswith("@"):
        macro = MACROS.get(text.lower())
        if macro is None:
            message = f"{wording.quote(text)} is not a schedule"
            raise ScheduleError(message, f"names are {wording.listing(MACROS, 'and')}")
        return macro.split()
    return LONG_NAME.sub(lambda name: name[0][:3], text).split()


def _check(expression: str, fields: list[str]) -> None:
    shown = wording.quote(expression)
    if len(fields) not in (5, 6):
        count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
        raise ScheduleError(f"{shown} has {count}", FORM)
    for name, field in zip(FIELDS[-len(fields) :], fields, strict=True):
        if not _is_field(name, field):
            raise ScheduleError(f"{shown}: {wording.quote(field)} is no {name}", FORM)
    if not croniter.is_valid(" ".join(fields), second_at_beginning=True):
        raise ScheduleError(f"{shown} is not a cron expression", FORM)


def _is_field(name: str, field: str) -> bool:
    """Whether the field is good by itself, with `*` in all others."""
    words = re.findall(r"[A-Za-z]+", field)
    if not field.isascii() or any(not _is_word(word) for word in words):
        return False
    others = [field if each == name else "*" for each in FIELDS]
    return bool(croniter.is_valid(" ".join(others), second_at_beginning=True))


def _is_word(word: str) -> bool:
    """Month and weekday names, last and weekday marks; not croniter's random and hashed values."""
    return word.upper() in WORDS or (word[:1] in "Ll" and word[1:].upper() in WORDS)
