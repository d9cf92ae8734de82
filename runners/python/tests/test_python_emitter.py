"""Options of emit, withdrawing events, the deadline, batches and pages, without a child."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from runners.python.tests.conftest import Run
from runners.python.tests.harness import Runner, payload
from stepweave_runner.context import Context

Start = Callable[..., Runner]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"delay": math.nan}, "emit takes delay as a number or a timedelta, not nan"),
        ({"delay_seconds": "soon"}, "emit takes delay_seconds as a number"),
        ({"at": math.inf}, "emit takes at as a datetime, ISO 8601 text or Unix ms, not inf"),
        ({"at": "tomorrow"}, "emit takes at as a datetime, .*, not 'tomorrow'"),
        ({"id": {"order": 1}}, "emit needs an id as text, not {'order': 1}"),
        ({"message_group_id": ["a"]}, "emit needs a group as text"),
        ({"priority": 1.5}, "emit takes priority as a whole number from -1000 to 1000, not 1.5"),
        ({"priority": 1001}, "from -1000 to 1000, not 1001"),
        ({"priority": True}, "from -1000 to 1000, not True"),
    ],
)
def test_an_option_with_a_value_that_makes_no_sense_is_named(
    options: dict[str, Any], named: str, run: Run
) -> None:
    async def test(context: Context, peer: Any) -> None:
        with pytest.raises(TypeError, match=named):
            context.emit("a", **options)
        assert peer.asked == []

    run(test)


def test_an_option_that_emit_does_not_have_is_ignored_with_one_warning(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        for _ in range(3):
            await context.emit({"topic": "a", "delay_millis": 5, "prio": 1})
        assert len(peer.asked) == 3
        assert [record["message"].split(";")[0] for record in peer.records] == [
            'emit has no option "delay_millis", which was ignored',
            'emit has no option "prio", which was ignored',
        ]
        assert peer.records[0]["message"].endswith("at, priority")
        assert {(record["level"], record["scope"]) for record in peer.records} == {("warn", 7)}

    run(test)


def test_an_event_is_withdrawn_by_its_id(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        peer.results = {"emit": {"event": "e1"}, "event.cancel": 2}
        id = await context.emit("a", delay=5)
        assert await context.cancel_event(id) == await context["cancel_event"](id) == 2
        assert await context.cancelEvent(id) == 2
        assert peer.asked[1:] == [("event.cancel", {"event": "e1", "scope": 7})] * 3
        with pytest.raises(TypeError, match="cancel_event needs the id that emit gave"):
            context.cancel_event({"event": id})  # type: ignore[arg-type]

    run(test)


def test_a_group_is_read_in_pages(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        peer.results["state.list"] = [["a", payload(1)], ["b", payload(2)]]
        page = await context.state.get_group("g", limit=2)
        assert (page, page.next, page["a"]) == ([1, 2], "b", 1)
        last = await context.state.get_group("g", {"limit": 3, "after": page.next})
        assert last.next is None
        assert (await context.state.trace.get_group(limit=2)).next == "b"
        assert (await context.state.get_group("g")).next is None
        assert [params for _, params in peer.asked] == [
            {"scope": 7, "group": "g", "limit": 2},
            {"scope": 7, "group": "g", "after": "b", "limit": 3},
            {"scope": 7, "group": "ab" * 16, "limit": 2},
            {"scope": 7, "group": "g"},
        ]

    run(test)


TIMED = """
    import datetime
    config = {"type": "event"}
    def handler(data, context):
        now = datetime.datetime.now(datetime.timezone.utc)
        deadline = context.deadline
        return {
            "same": deadline == context["deadline"],
            "seconds": deadline and (deadline - now).total_seconds(),
            "left": str(context.remaining_ms()),
            "events": context.events,
        }
"""


def test_the_deadline_is_a_point_in_time_and_the_time_that_is_left(start: Start) -> None:
    runner = start({"a.step.py": TIMED})

    free = runner.event("a.step.py")
    assert (free["seconds"], free["left"], free["events"]) == (None, "inf", [])
    timed = runner.event("a.step.py", deadline_ms=60_000)
    assert timed["same"] and 50 < timed["seconds"] <= 60
    assert 50_000 < int(timed["left"]) <= 60_000
    assert runner.event("a.step.py", deadline_ms=0)["left"] == "0"


def test_events_that_come_together_are_listed_beside_their_data(start: Start) -> None:
    runner = start({"a.step.py": TIMED})
    events = [
        {"event": "e1", "topic": "t", "attempt": 1},
        {"event": "e2", "topic": "u", "attempt": 3},
    ]
    given = {"topic": "t", "data": payload(["one", "two"]), "event": "e1", "events": events}

    answer = runner.wait(runner.invoke("a.step.py", "event", given))

    assert b'{"id":"e1","topic":"t","attempt":1},{"id":"e2","topic":"u","attempt":3}' in answer[1]
