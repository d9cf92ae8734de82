"""The JSON API for events and their deliveries."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from stepweave.engine.store.operations import Bury, Retry, Settle, StateSet
from stepweave.payload import encode
from tests.unit.manage.kit import ERROR, Api

pytestmark = pytest.mark.anyio


async def test_deliveries_are_listed_newest_first_in_pages(api: Api) -> None:
    await api.put(1, 2, steps=("Pay", "Ship"))

    _, page = await api.ask("GET", "/events?limit=3")
    found = [(int(row["event"], 16), row["step"]) for row in page["events"]]
    assert found == [(2, "Ship"), (2, "Pay"), (1, "Ship")]
    assert page["next"] == "0000000000000001:Ship"
    _, page = await api.ask("GET", f"/events?limit=3&before={page['next']}")
    assert page == {
        "events": [
            {
                "event": "0000000000000001", "step": "Pay", "topic": "order", "state": "waiting",
                "attempt": 1, "due_at": 5, "at": 5, "source": "Shop", "trace_id": "7",
                "group": None, "priority": None, "size": 7, "data": '{"n":1}', "error": None,
            }
        ],
        "next": None,
    }  # fmt: skip


async def states(api: Api) -> None:
    """One delivery in each state: 1 runs, 2 waits, 3 is scheduled, 4 is retried, 5 is held."""
    far = 1 << 50
    await api.put(1, 2)
    await api.put(3, due_at=far)
    await api.put(4)
    await api.store.apply((Retry(4, "Pay", 2, far, orjson.dumps(ERROR)),))
    await api.put(5, group="g")
    api.bus.active = {(1, "Pay"), (9, "Pay")}
    api.bus.subscriptions = {"Pay": {"running": 1, "waiting": 2, "held": {"g": 1}, "delayed": 2}}


@pytest.mark.parametrize(
    ("state", "event"),
    [("running", 1), ("waiting", 2), ("scheduled", 3), ("retrying", 4), ("held", 5)],
)
async def test_a_delivery_has_a_state_and_is_found_by_it(api: Api, state: str, event: int) -> None:
    await states(api)

    _, page = await api.ask("GET", f"/events?state={state}")
    assert [(int(row["event"], 16), row["state"]) for row in page["events"]] == [(event, state)]
    assert page["next"] is None
    assert page["events"][0]["error"] == (ERROR if state == "retrying" else None)


async def test_a_listing_by_state_looks_through_so_many_and_says_where_to_go_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepweave.engine.desk.ledger._MOST", 5)
    await api.put(1, due_at=1 << 50)
    await api.put(*range(2, 9))

    _, page = await api.ask("GET", "/events?state=scheduled")
    assert page == {"events": [], "next": "0000000000000004:Pay"}
    _, page = await api.ask("GET", f"/events?state=scheduled&before={page['next']}")
    assert [int(row["event"], 16) for row in page["events"]] == [1]
    assert page["next"] is None


async def test_deliveries_are_found_by_step_and_topic(api: Api) -> None:
    await api.put(1, 2, steps=("Pay", "Ship"))
    api.bus.active = {(1, "Pay"), (2, "Ship")}

    for path in ("/events?step=Ship", "/events?step=Ship&topic=order"):
        _, page = await api.ask("GET", path)
        assert [int(row["event"], 16) for row in page["events"]] == [2, 1]
    for path in ("/events?topic=other", "/events?state=running&topic=other"):
        assert (await api.ask("GET", path))[1] == {"events": [], "next": None}
    _, page = await api.ask("GET", "/events?state=running&step=Ship")
    assert [int(row["event"], 16) for row in page["events"]] == [2]


async def test_an_event_is_shown_with_each_of_its_deliveries(api: Api) -> None:
    await api.put(1, steps=("Pay", "Ship"))
    await api.store.apply((Retry(1, "Pay", 2, 6, b'{"message":"first"}'),))
    await api.store.apply((Bury(1, "Pay", 2, "error", orjson.dumps(ERROR), 8, None),))

    status, shown = await api.ask("GET", "/events/0000000000000001")
    assert status == 200
    about = {name: shown[name] for name in ("event", "topic", "source", "trace_id", "data", "at")}
    assert about == {
        "event": "0000000000000001", "topic": "order", "source": "Shop", "trace_id": "7",
        "data": {"n": 1}, "at": 5,
    }  # fmt: skip
    ship, pay = shown["deliveries"]
    assert (ship["step"], ship["state"], ship["errors"]) == ("Ship", "waiting", [])
    assert (pay["step"], pay["state"], pay["dead"], pay["attempt"]) == ("Pay", "dead", 1, 2)
    assert pay["errors"] == [{"message": "first"}, ERROR]

    await api.store.apply((Settle(1, "Ship", True),))
    status, shown = await api.ask("GET", "/events/0000000000000001")
    assert (shown["data"], [each["state"] for each in shown["deliveries"]]) == ({"n": 1}, ["dead"])
    status, answer = await api.ask("GET", "/events/0000000000000002")
    assert status == 404 and "its trace tells" in answer["error"]


async def test_what_has_not_begun_is_cancelled(api: Api) -> None:
    await api.put(1, 2, steps=("Pay", "Ship"))

    path = "/events/0000000000000001"
    assert await api.ask("DELETE", f"{path}?step=Ship") == (
        200, {"event": "0000000000000001", "cancelled": 1, "running": []},
    )  # fmt: skip
    assert (await api.ask("DELETE", path))[1]["cancelled"] == 1
    assert (await api.ask("DELETE", path))[0] == 404
    assert [step for step, _ in await api.waiting()] == ["Pay", "Ship"]

    api.bus.active = {(9, "Pay")}
    assert (await api.ask("DELETE", "/events/0000000000000009"))[1] == {
        "event": "0000000000000009", "cancelled": 0, "running": ["Pay"],
    }  # fmt: skip


async def test_all_of_a_step_or_a_topic_is_cancelled(api: Api) -> None:
    await api.put(*range(1, 251), steps=("Pay", "Ship"))

    assert await api.ask("POST", "/events/cancel?topic=none") == (
        200, {"cancelled": 0, "running": 0},
    )  # fmt: skip
    _, answer = await api.ask("POST", "/events/cancel?step=Ship&topic=order")
    assert answer == {"cancelled": 250, "running": 0}
    assert {step for step, _ in await api.waiting()} == {"Pay"}
    assert (await api.ask("POST", "/events/cancel"))[1]["cancelled"] == 250
    assert await api.waiting() == []


async def test_queues_are_counted_by_step_and_in_all(api: Api) -> None:
    await states(api)
    await api.put(6, steps=("Gone",))
    api.bus.subscriptions["Pay"]["lanes"] = {"eu": 2}
    await api.store.apply(tuple(Settle(n, "Pay", True) for n in range(1, 6)))

    none: dict[str, Any] = {"running": 0, "waiting": 0, "delayed": 0, "held": [], "lanes": []}
    assert (await api.ask("GET", "/queues"))[1] == {
        "queues": [
            {"step": "Gone", **none, "parked": 1},
            {
                "step": "Pay", "running": 1, "waiting": 2, "delayed": 2, "parked": 0,
                "held": [{"group": "g", "behind": 1}], "lanes": [{"lane": "eu", "waiting": 2}],
            },
        ],
        "totals": {"running": 1, "waiting": 2, "delayed": 2, "parked": 1, "published": 3},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/events?state=lost"),
        ("GET", "/events?limit=0"),
        ("GET", "/events?before=7"),
        ("GET", "/events?before=x:Pay"),
        ("GET", "/events?setp=Pay"),
        ("GET", "/events/7"),
        ("GET", "/events/zzzzzzzzzzzzzzzz"),
        ("GET", "/events/ffffffffffffffff"),
        ("DELETE", "/events/7"),
        ("DELETE", "/events/0000000000000001?topic=x"),
        ("POST", "/events/cancel?stpe=Pay"),
        ("GET", "/queues?step=Pay"),
        ("GET", "/dead?limit=0"),
        ("GET", "/dead?limit=x"),
        ("GET", "/dead?limit=1001"),
        ("GET", "/dead?before=-1"),
        ("GET", "/dead?before="),
        ("GET", "/dead?before=" + "9" * 40),
        ("GET", "/dead?limit=1&limit=2"),
        ("GET", "/dead?page=2"),
        ("GET", "/dead/x"),
        ("GET", "/dead/1.0"),
        ("GET", "/dead/" + "9" * 40),
        ("DELETE", "/dead/x"),
        ("POST", "/dead/x/retry"),
        ("POST", "/dead/retry?stpe=Pay"),
        ("POST", "/dead/discard?all=1"),
        ("GET", "/state?limit=-1"),
        ("GET", "/state?before=x"),
        ("GET", "/state/g?limit=1e3"),
        ("DELETE", "/state/g?key=k"),
        ("GET", "/state/%ff"),
        ("PUT", "/state/g/%c3"),
    ],
)
async def test_what_cannot_be_understood_is_a_400_that_changes_nothing(
    api: Api, method: str, path: str
) -> None:
    await api.bury(1)
    await api.store.apply((StateSet("g", "k", encode(1)),))

    status, answer = await api.ask(method, path)

    assert status == 400
    assert 10 < len(answer["error"]) < 300
    assert len(await api.store.dead()) == 1
    assert len(await api.store.state_page("g", None, 9, 9)) == 1


async def test_retrying_all_takes_no_data(api: Api) -> None:
    await api.bury(1)

    assert (await api.ask("POST", "/dead/retry", json={"data": 1}))[0] == 400
    assert await api.waiting() == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/events", "GET, HEAD"),
        ("GET", "/events/cancel", "POST"),
        ("POST", "/events/0000000000000001", "GET, HEAD, DELETE"),
        ("POST", "/dead", "GET, HEAD"),
        ("GET", "/dead/retry", "POST"),
        ("PUT", "/dead/1", "GET, HEAD, DELETE"),
        ("GET", "/dead/1/retry", "POST"),
        ("DELETE", "/state", "GET, HEAD"),
        ("PUT", "/state/g", "GET, HEAD, DELETE"),
        ("POST", "/state/g/k", "GET, HEAD, PUT, DELETE"),
    ],
)
async def test_another_method_is_told_which_there_are(
    api: Api, method: str, path: str, allowed: str
) -> None:
    status, answer = await api.ask(method, path)

    assert status == 405
    assert answer == {"error": f"/_stepweave/api{path} answers {allowed}, not {method}"}
