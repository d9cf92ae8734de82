"""The times of an expression, compared with a walk through every minute where clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepweave.steps.schedule import Schedule

MINUTE = timedelta(minutes=1)
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",  # half an hour off
    "Australia/Lord_Howe",  # by half an hour
    "America/Havana",  # at midnight
    "Africa/Casablanca",  # around Ramadan
    "Pacific/Apia",  # a whole day was left out in 2011
    "Asia/Kathmandu",  # never
]


class Field(NamedTuple):
    """A field of an expression, and the values it stands for."""

    text: str
    values: frozenset[int]

    @property
    def is_any(self) -> bool:
        return self.text == "*"


class Expression(NamedTuple):
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    def __str__(self) -> str:
        return " ".join(field.text for field in self)

    def matches(self, wall: datetime) -> bool:
        """Whether a clock on the wall shows one of its times."""
        day, weekday = wall.day in self.day.values, wall.isoweekday() % 7 in self.weekday.values
        either = not self.day.is_any and not self.weekday.is_any
        return (
            wall.minute in self.minute.values
            and wall.hour in self.hour.values
            and wall.month in self.month.values
            and (day or weekday if either else day and weekday)
        )


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> Field:
    every = range(low, high + 1)
    match draw(st.sampled_from("*/-,1")):
        case "*":
            return Field("*", frozenset(every))
        case "/":
            by = draw(st.integers(2, max(2, (high - low) // 2)))
            return Field(f"*/{by}", frozenset(every[::by]))
        case "-":
            first = draw(st.integers(low, high - 1))
            last = draw(st.integers(first + 1, high))
            return Field(f"{first}-{last}", frozenset(range(first, last + 1)))
        case _:
            some = draw(st.sets(st.integers(low, high), min_size=1, max_size=4))
            return Field(",".join(map(str, sorted(some))), frozenset(some))


ANY_DAY = Field("*", frozenset(range(1, 32)))
ANY_MONTH = Field("*", frozenset(range(1, 13)))
ANY_WEEKDAY = Field("*", frozenset(range(7)))
EXPRESSIONS = st.builds(
    Expression,
    fields(0, 59),
    fields(0, 23),
    st.just(ANY_DAY) | fields(1, 31),
    st.just(ANY_MONTH),
    st.just(ANY_WEEKDAY) | fields(0, 6),
)


@cache
def changes(zone: str, year: int) -> list[datetime]:
    """The minutes of a year at which a zone's clocks change."""
    found, here = [], ZoneInfo(zone)
    hour = datetime(year, 1, 1, tzinfo=UTC)
    while hour.year == year:
        offset = hour.astimezone(here).utcoffset()
        minute = hour
        hour += timedelta(hours=1)
        if hour.astimezone(here).utcoffset() != offset:
            while minute.astimezone(here).utcoffset() == offset:
                minute += MINUTE
            found.append(minute)
    return found


def is_due(expression: Expression, moment: datetime, zone: ZoneInfo) -> bool:
    """The rule, for one minute."""
    wall = moment.astimezone(zone)
    is_repeat = wall.fold == 1 and wall.replace(fold=0).utcoffset() != wall.utcoffset()
    has_all_hours = len(expression.hour.values) == 24
    if is_repeat and not (expression.hour.text.startswith("*") or has_all_hours):
        return False
    if expression.matches(wall):
        return True
    skipped = (moment - MINUTE).astimezone(zone).replace(tzinfo=None) + MINUTE
    while skipped < wall.replace(tzinfo=None) and not has_all_hours:
        if expression.matches(skipped):
            return True
        skipped += MINUTE
    return False


def walk(expression: Expression, start: datetime, end: datetime, zone: str) -> Iterator[datetime]:
    """The minutes after `start` and up to `end` at which it is due."""
    here, moment = ZoneInfo(zone), start
    while moment < end:
        moment += MINUTE
        if is_due(expression, moment, here):
            yield moment


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


EVERY_SEVEN = Expression(
    Field("*/7", frozenset(range(0, 60, 7))),
    Field("*", frozenset(range(24))),
    ANY_DAY, ANY_MONTH, ANY_WEEKDAY,
)  # fmt: skip
ALL_HOURS = Expression(
    Field("1-2", frozenset({1, 2})),
    Field("0-23", frozenset(range(24))),
    ANY_DAY, ANY_MONTH, ANY_WEEKDAY,
)  # fmt: skip


@example(EVERY_SEVEN, "Australia/Lord_Howe", 2026, 0)
@example(ALL_HOURS, "Europe/Berlin", 2026, 0)
@example(ALL_HOURS, "Europe/Berlin", 2026, 1)
@settings(max_examples=100)
@given(EXPRESSIONS, st.sampled_from(ZONES), st.integers(2007, 2037), st.integers(0, 3))
def test_the_times_where_clocks_change_are_those_of_the_rule(
    expression: Expression, zone: str, year: int, which: int
) -> None:
    found = changes(zone, year) or [datetime(year, 5, 1, tzinfo=UTC)]
    change = found[which % len(found)]
    start, end = change - timedelta(hours=4), change + timedelta(hours=4)

    times = Schedule(str(expression), zone).between(ms(start), ms(end), 1000)

    assert [datetime.fromtimestamp(at / 1000, UTC) for at in times] == list(
        walk(expression, start, end, zone)
    )


@settings(max_examples=100)
@given(
    EXPRESSIONS,
    st.sampled_from(ZONES),
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
)
def test_times_grow_and_show_on_the_wall_what_the_expression_says(
    expression: Expression, zone: str, start: datetime
) -> None:
    times = Schedule(str(expression), zone).upcoming(ms(start), 20)

    assert [ms(start), *times] == sorted({ms(start), *times})
    for at in times:
        moment = datetime.fromtimestamp(at / 1000, UTC)
        assert is_due(expression, moment, ZoneInfo(zone)), moment.astimezone(ZoneInfo(zone))


@pytest.mark.parametrize("seconds", ["0", "*/20", "5,59", "7-9"])
def test_seconds_are_due_in_each_minute_that_is(seconds: str) -> None:
    start = ms(datetime(2026, 3, 29, 0, 58, tzinfo=UTC))  # two minutes before Berlin's gap
    found = Schedule(f"{seconds} * * * * *", "Europe/Berlin").between(
        start - 1, start + 299_999, 99
    )

    inside = {at // 1000 % 60 for at in found}
    assert inside == {
        "0": {0}, "*/20": {0, 20, 40}, "5,59": {5, 59}, "7-9": {7, 8, 9},
    }[seconds]  # fmt: skip
    assert len(found) == 5 * len(inside)


@given(
    st.sampled_from(["* * * * * *", "* * * * *", "*/7 9-17 * * *", "0 9 * * 1", "* * * 1 *",
                     "* * 3 * * *", "0 0 29 2 *"]),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2010, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(0), timedelta(days=3000)),
    st.integers(1, 40),
)  # fmt: skip
@settings(max_examples=60)
def test_the_newest_times_between_two_moments_are_found(
    expression: str, zone: str, start: datetime, long: timedelta, limit: int
) -> None:
    schedule = Schedule(expression, zone)
    since, until = ms(start), ms(start + long)
    found = schedule.between(since, until, limit)

    assert len(found) <= limit and all(since < at <= until for at in found)
    if found:
        assert schedule.upcoming(found[0] - 1, len(found)) == found
        assert schedule.after(found[-1]) > until
    if len(found) < limit:
        assert schedule.upcoming(since, len(found)) == found
        assert schedule.after(found[-1] if found else since) > until
