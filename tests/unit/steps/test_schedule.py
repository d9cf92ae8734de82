"""Cron expressions: what is one, and when it is due where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave.steps import schedule
from stepweave.steps.schedule import MACROS, Schedule, ScheduleError, local_zone

NEW_YORK = "America/New_York"


def ms(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def due(expression: str, start: str, count: int, zone: str = "UTC") -> list[str]:
    times = Schedule(expression, zone).upcoming(ms(start, zone), count)
    return [datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).isoformat() for at in times]


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("* * * * *", "2026-01-01T00:01:00"),
        ("*/5 * * * * *", "2026-01-01T00:00:05"),
        ("30 */2 * * * *", "2026-01-01T00:00:30"),
        ("0 0 * * 1", "2026-01-05T00:00:00"),
        ("0 0 * * 7", "2026-01-04T00:00:00"),
        ("0 9 * JAN-MAR mon,WED", "2026-01-05T09:00:00"),
        ("0 0 L * *", "2026-01-31T00:00:00"),
        ("0 0 * * 5#2", "2026-01-09T00:00:00"),
        ("0 0 ? * *", "2026-01-02T00:00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00"),
        (" 0  0 * * * ", "2026-01-02T00:00:00"),
        ("@daily", "2026-01-02T00:00:00"),
        ("@Hourly", "2026-01-01T01:00:00"),
    ],
)
def test_an_expression_is_due(expression: str, first: str) -> None:
    assert due(expression, "2026-01-01T00:00:00", 1) == [f"{first}+00:00"]


def test_names_may_be_written_out() -> None:
    short, long = (
        due(expression, "2026-01-01T00:00:00", 5, "UTC")
        for expression in ("0 9 * JAN,MAY MON-FRI/2", "0 9 * January,may Monday-FRIDAY/2")
    )
    assert short == long
    with pytest.raises(ScheduleError, match="is no weekday"):
        Schedule("* * * * Mondays", "UTC")


@pytest.mark.parametrize("name", MACROS)
def test_every_name_is_an_expression(name: str) -> None:
    assert due(name, "2026-01-01T00:00:00", 3) == due(MACROS[name], "2026-01-01T00:00:00", 3)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "has 0 fields"),
        ("*", "has 1 field"),
        ("* * * *", "has 4 fields"),
        ("0 0 0 1 1 * 2030", "has 7 fields"),
        ("60 * * * *", '"60" is no minute'),
        ("61 * * * * *", '"61" is no second'),
        ("0 25 * * *", '"25" is no hour'),
        ("0 0 0 * *", '"0" is no day'),
        ("0 0 * 13 *", '"13" is no month'),
        ("0 0 * * 8", '"8" is no weekday'),
        ("*/0 * * * *", '"*/0" is no minute'),
        ("H * * * *", '"H" is no minute'),
        ("R * * * *", '"R" is no minute'),
        ("r(1-5) * * * *", "is no minute"),
        ("\u0660 * * * *", "is no minute"),
        ("0 0 31 2 *", "never happens"),
        ("0 0 30 2 *", "never happens"),
        ("@reboot", "is not a schedule"),
        ("@every 5m", "is not a schedule"),
    ],
)
def test_what_is_no_expression_says_why(expression: str, says: str) -> None:
    with pytest.raises(ScheduleError, match=says.replace("*", r"\*")) as caught:
        Schedule(expression, "UTC")

    assert caught.value.code == "bad_cron"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Berlin", "did you mean Europe/Berlin?"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("", "write an IANA name such as Europe/Berlin"),
        ("../../etc/passwd", "write an IANA name such as Europe/Berlin"),
    ],
)
def test_what_is_no_time_zone_says_so(name: str, hint: str) -> None:
    with pytest.raises(ScheduleError, match="is not a time zone") as caught:
        Schedule("* * * * *", name)

    assert (caught.value.code, caught.value.hint) == ("bad_timezone", hint)


def test_a_time_that_spring_skips_is_due_after_the_gap() -> None:
    assert due("30 2 * * *", "2026-03-07T12:00:00", 3, NEW_YORK) == [
        "2026-03-08T03:00:00-04:00",
        "2026-03-09T02:30:00-04:00",
        "2026-03-10T02:30:00-04:00",
    ]


def test_a_fixed_time_in_the_repeated_autumn_hour_is_due_once() -> None:
    assert due("30 1 * * *", "2026-10-31T12:00:00", 2, NEW_YORK) == [
        "2026-11-01T01:30:00-04:00",
        "2026-11-02T01:30:00-05:00",
    ]
    between = ms("2026-11-01T05:45:00")
    assert Schedule("30 1 * * *", NEW_YORK).after(between) == ms("2026-11-02T06:30:00")


def test_an_interval_goes_on_through_the_repeated_autumn_hour() -> None:
    assert due("*/30 * * * *", "2026-11-01T00:30:00", 5, NEW_YORK) == [
        "2026-11-01T01:00:00-04:00",
        "2026-11-01T01:30:00-04:00",
        "2026-11-01T01:00:00-05:00",
        "2026-11-01T01:30:00-05:00",
        "2026-11-01T02:00:00-05:00",
    ]


def test_the_time_zone_of_the_server_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert str(local_zone()) == "Asia/Tokyo"
    assert Schedule("0 9 * * *").after(ms("2026-01-01T00:30:00")) == ms("2026-01-02T00:00:00")

    monkeypatch.setenv("TZ", ":Europe/Berlin")
    assert str(local_zone()) == "Europe/Berlin"

    monkeypatch.setenv("TZ", "not a zone")
    assert local_zone().utcoffset(datetime.now(UTC)) is not None

    monkeypatch.delenv("TZ")
    monkeypatch.setattr(schedule, "Path", lambda _: Path("/does/not/exist"))
    assert local_zone() is UTC


@given(st.text(alphabet="0123456789*/-,@LWHR#?JANmon %", max_size=20) | st.text(max_size=20))
def test_any_text_is_an_expression_or_says_why_not(text: str) -> None:
    try:
        times = Schedule(text, "UTC").upcoming(0, 2)
    except ScheduleError as error:
        assert str(error)
    else:
        assert 0 < times[0] < times[1]


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "15 1 * * *", "30 2 * * 0", "0 */3 * * *"]),
    st.sampled_from(["UTC", NEW_YORK, "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)),
)
def test_the_next_time_is_always_later(expression: str, zone: str, start: datetime) -> None:
    at = round(start.replace(tzinfo=UTC).timestamp() * 1000)

    times = Schedule(expression, zone).upcoming(at, 4)

    assert [at, *times] == sorted({at, *times})
