"""The JSON API for dead letters and state, over a real store, without a server."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence, Sized
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from stepweave.engine.desk.browser import Browser
from stepweave.engine.desk.ledger import Ledger
from stepweave.engine.desk.letters import Letters
from stepweave.engine.desk.offline import Offline
from stepweave.engine.store import listing, schema
from stepweave.engine.store.operations import Bury, PutEvent, Retry, Settle, StateSet
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.http import manage
from stepweave.payload import Payload, encode

pytestmark = pytest.mark.anyio

MAX_BODY = 200
ERROR = {
    "code": "handler_failed",
    "message": "no money",
    "frames": [{"file": "steps/pay.step.py", "line": 3, "function": "handler"}],
}


class Bus(Offline):
    """A bus in which the test says what runs and is held."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store)
        self.active: set[tuple[int, str]] = set()
        self.subscriptions: dict[str, Any] = {}

    def running(self) -> set[tuple[int, str]]:
        return self.active

    def statistics(self) -> dict[str, Any]:
        return {**super().statistics(), "subscriptions": self.subscriptions, "published": 3}


class Api:
    """The routes, and the store below them."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.bus = bus = Bus(store)
        parts = Ledger(store, bus), Letters(store, bus), Browser(store)
        app = Starlette(routes=manage.routes(*parts, MAX_BODY))
        self.paths = [route.path for route in app.routes if isinstance(route, Route)]
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost/_stepweave/api"
        )

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        answer = await self.http.request(method, path, **more)
        assert answer.headers["content-type"] == "application/json"
        return answer.status_code, answer.json() if method != "HEAD" else None

    async def bury(self, id: int, step: str = "Pay", data: Payload | None = None) -> int:
        """Make a dead letter; its id."""
        put = PutEvent(id, "order", data, "00-7-8-01", "Shop", 5, "g", None, ((step, 0),))
        bury = Bury(id, step, 4, "error", orjson.dumps(ERROR), 8, True)
        await self.store.apply((put, bury))
        return (await self.store.dead(1))[0].id

    async def put(
        self,
        *ids: int,
        steps: Sequence[str] = ("Pay",),
        group: str | None = None,
        due_at: int = 5,
    ) -> None:
        """Make events, with a delivery for each of the steps."""
        for id in ids:
            data, deliveries = encode({"n": id}), tuple((step, due_at) for step in steps)
            await self.store.apply(
                (PutEvent(id, "order", data, "00-7-8-01", "Shop", 5, group, None, deliveries),)
            )

    async def waiting(self) -> list[tuple[str, Payload | None]]:
        """Step and data of what is to be delivered."""
        await self.store.apply(())
        events: list[Any] = []
        waiting = list(self.store.waiting())
        for each in waiting:
            self.store.event(each.event, lambda error, found: events.append(found))
        steps = (each.subscription for each in waiting)
        return list(zip(steps, (each.data for each in events), strict=True))


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    store = SqliteStore(tmp_path)
    yield Api(store)
    await store.close()


# --- dead letters


async def test_dead_letters_are_listed_newest_first_in_pages(api: Api) -> None:
    ids = [await api.bury(n, data=encode({"n": n})) for n in (1, 2, 3)]

    status, page = await api.ask("GET", "/dead?limit=2")
    assert status == 200
    assert [letter["id"] for letter in page["dead"]] == [ids[2], ids[1]]
    assert page["next"] == ids[1]
    assert page["dead"][0]["data"] == '{"n":3}'

    _, page = await api.ask("GET", f"/dead?limit=2&before={page['next']}")
    assert [letter["id"] for letter in page["dead"]] == [ids[0]]
    assert page["next"] is None
    assert (await api.ask("HEAD", "/dead"))[0] == 200


async def test_a_dead_letter_is_shown_whole(api: Api) -> None:
    id = await api.bury(1, data=encode({"order": 7}))

    assert await api.ask("GET", f"/dead/{id}") == (
        200,
        {
            "id": id, "event": "0000000000000001", "step": "Pay", "topic": "order",
            "trace_id": "7", "attempts": 4, "reason": "error", "error": ERROR, "at": 8,
            "source": "Shop", "group": "g", "data": {"order": 7}, "type": "object", "size": 11,
            "holds": False, "errors": [ERROR], "event_at": 5, "behind": None,
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (None, {"data": None, "type": "none", "size": 0}),
        (encode(b"\x00\x01"), {"data": "AAE=", "type": "bytes", "size": 2}),
        (encode({"raw": b"\x01"}), {"data": {"raw": "AQ=="}, "type": "object", "size": 8}),
        (("text", b"hi"), {"data": "hi", "type": "string", "size": 2}),
        (("json", b"[" * 900 + b"]" * 900), {"type": "array", "size": 1800}),
        (("json", b"{oops"), {"data": None, "type": "object", "size": 5}),
        (("msgpack", b"\xc1"), {"data": None, "type": "object", "size": 1}),
    ],
)
async def test_any_data_can_be_shown_and_listed(
    api: Api, data: Payload | None, shown: dict[str, Any]
) -> None:
    id = await api.bury(1, data=data)

    status, letter = await api.ask("GET", f"/dead/{id}")
    assert status == 200
    assert {name: letter[name] for name in shown} == shown
    assert ("problem" in letter) == (shown.get("data", 0) is None and data is not None)
    assert (await api.ask("GET", "/dead"))[0] == 200


async def test_a_retry_delivers_the_letter_as_it_was(api: Api) -> None:
    id = await api.bury(1, data=encode({"order": 7}))

    status, answer = await api.ask("POST", f"/dead/{id}/retry")

    assert status == 200
    assert len(answer["event"]) == 16
    assert await api.waiting() == [("Pay", encode({"order": 7}))]
    assert await api.ask("POST", f"/dead/{id}/retry") == (
        404,
        {"error": f"there is no dead letter {id}"},
    )


@pytest.mark.parametrize("value", [{"order": 8}, None, 0, [1.5]])
async def test_a_retry_may_deliver_other_data(api: Api, value: Any) -> None:
    id = await api.bury(1, data=encode({"order": 7}))

    status, _ = await api.ask("POST", f"/dead/{id}/retry", json={"data": value})

    assert status == 200
    assert await api.waiting() == [("Pay", encode(value))]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b'{"order": 7}', 'the body must be empty, or {"data": '),
        (b'{"data": 1, "id": 2}', 'the body must be empty, or {"data": '),
        (b"[]", 'the body must be empty, or {"data": '),
        (b"null", 'the body must be empty, or {"data": '),
    ],
)
async def test_a_retry_with_a_wrong_body_changes_nothing(
    api: Api, body: bytes, reason: str
) -> None:
    id = await api.bury(1)

    status, answer = await api.ask("POST", f"/dead/{id}/retry", content=body)

    assert status == 400
    assert answer["error"].startswith(reason)
    assert await api.waiting() == []


async def test_all_letters_or_those_of_a_step_are_retried_or_discarded(api: Api) -> None:
    for n in range(230):
        await api.bury(n, step="Pay" if n % 2 else "Ship")

    assert await api.ask("POST", "/dead/retry?step=Pay") == (200, {"retried": 115})
    assert {step for step, _ in await api.waiting()} == {"Pay"}
    assert await api.ask("POST", "/dead/discard?step=Pay") == (200, {"discarded": 0})
    assert await api.ask("POST", "/dead/discard?step=Ship") == (200, {"discarded": 115})
    assert await api.ask("POST", "/dead/retry") == (200, {"retried": 0})


async def test_a_discarded_letter_is_gone(api: Api) -> None:
    id = await api.bury(1)

    assert await api.ask("DELETE", f"/dead/{id}") == (200, {"discarded": 1})
    assert (await api.ask("DELETE", f"/dead/{id}"))[0] == 404
    assert (await api.ask("GET", f"/dead/{id}"))[0] == 404
    assert await api.waiting() == []


async def test_a_letter_that_holds_a_group_tells_how_many_are_behind_it(api: Api) -> None:
    await api.put(1, 2, 3, group="g")
    await api.store.apply((Bury(1, "Pay", 1, "error", b"{}", 8, True, holds=True),))

    (letter,) = (await api.ask("GET", "/dead?step=Pay"))[1]["dead"]
    assert letter["holds"] is True
    _, shown = await api.ask("GET", f"/dead/{letter['id']}")
    assert shown["behind"] == 2
    assert (await api.ask("GET", "/dead?step=Ship"))[1]["dead"] == []


# --- deliveries


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


# --- state


async def test_groups_come_with_counts_in_pages(api: Api) -> None:
    for group, key in (("a", "1"), ("a", "2"), ("b", "1"), ("c", "1")):
        await api.store.apply((StateSet(group, key, encode("x")),))

    _, page = await api.ask("GET", "/state?limit=2")
    assert page["groups"] == [
        {"group": "a", "count": 2, "size": 6},
        {"group": "b", "count": 1, "size": 3},
    ]
    _, page = await api.ask("GET", f"/state?limit=2&after={page['next']}")
    assert [each["group"] for each in page["groups"]] == ["c"]
    assert page["next"] is None


async def test_a_group_is_listed_in_pages_with_type_and_size(api: Api) -> None:
    values = {"a": {"x": 1}, "b": [1], "c": "s", "d": 1.5, "e": True, "f": None, "g": b"\x00"}
    for key, value in values.items():
        await api.store.apply((StateSet("g", key, encode(value)),))

    _, page = await api.ask("GET", "/state/g?limit=4")
    assert page["group"] == "g" and page["next"] == "d"
    rows = page["values"]
    _, page = await api.ask("GET", "/state/g?limit=4&after=d")
    rows += page["values"]
    assert page["next"] is None
    assert [row["type"] for row in rows] == [
        "object", "array", "string", "number", "boolean", "null", "bytes",
    ]  # fmt: skip
    assert [row["value"] for row in rows] == [{"x": 1}, [1], "s", 1.5, True, None, "AA=="]
    assert rows[0]["size"] == 7 and rows[0]["expires_at"] is None


async def test_a_long_value_is_listed_with_its_start_and_read_whole(api: Api) -> None:
    await api.store.apply((StateSet("g", "long", encode("x" * 50_000)),))

    _, page = await api.ask("GET", "/state/g")
    (row,) = page["values"]
    assert (row["value"], row["type"], row["size"]) == (None, "string", 50_002)
    assert row["start"].startswith('"xxx') and len(row["start"]) == 1024
    _, whole = await api.ask("GET", "/state/g/long")
    assert whole["value"] == "x" * 50_000


@pytest.mark.parametrize("name", ["a/b", "", " ", "é✓", "%2F", "a?b#c", "a\nb", "\x00", "..."])
async def test_any_name_can_be_a_group_and_a_key(api: Api, name: str) -> None:
    path = f"/state/{_quoted(name)}"
    value = f"{path}/{_quoted(name)}"

    status, put = await api.ask("PUT", value, content=b' {"n": 12345678901234567890123}\n')
    assert (status, put["group"], put["key"]) == (200, name, name)
    _, page = await api.ask("GET", path)
    assert [row["key"] for row in page["values"]] == [name]
    status, found = await api.ask("GET", value)
    assert (status, found["group"], found["key"]) == (200, name, name)
    assert found["size"] == len('{"n": 12345678901234567890123}')
    assert await api.ask("DELETE", value) == (200, {"deleted": 1})
    assert (await api.ask("GET", value))[0] == 404


async def test_a_value_that_is_not_there_is_a_404(api: Api) -> None:
    missing = (404, {"error": 'the group "g" has no key "k"'})

    assert await api.ask("GET", "/state/g/k") == missing
    assert await api.ask("DELETE", "/state/g/k") == missing
    assert await api.ask("GET", "/state/g") == (200, {"group": "g", "values": [], "next": None})
    assert await api.ask("DELETE", "/state/g") == (200, {"deleted": 0})
    assert (await api.ask("GET", "/state/g/k/l"))[0] == 404


async def test_a_value_alone_is_as_it_was_written(api: Api) -> None:
    text = '{"n": 1.10, "big": 12345678901234567890123, "e": 1e2}'
    await api.store.apply((StateSet("g", "k", ("json", text.encode())),
                           StateSet("g", "b", encode(b"\x00"))))  # fmt: skip

    answer = await api.http.get("/state/g/k?only=value")
    assert (answer.status_code, answer.text) == (200, text)
    assert await api.ask("GET", "/state/g/b?only=value") == (200, "AA==")
    assert (await api.ask("GET", "/state/g/none?only=value"))[0] == 404
    assert (await api.ask("GET", "/state/g/k?only=key"))[0] == 400


async def test_a_value_over_a_megabyte_is_listed_by_its_start(api: Api) -> None:
    big = b"\x01" * 2_000_000
    await api.store.apply((StateSet("g", "k", encode(big)), StateSet("g", "l", encode([big]))))

    answer = await api.http.get("/state/g")
    assert len(answer.content) < 10_000
    rows = answer.json()["values"]
    assert [(row["type"], row["value"]) for row in rows] == [("bytes", None), ("array", None)]
    assert rows[0]["size"] == 2_000_000 and rows[0]["start"] == "01" * 1024
    _, whole = await api.ask("GET", "/state/g/k")
    assert len(whole["value"]) == 2_666_668


async def test_a_value_may_leave_by_itself(api: Api) -> None:
    before = int(time.time() * 1000)
    assert (await api.ask("PUT", "/state/g/k?ttl_s=600", content=b"1"))[0] == 200

    (row,) = (await api.ask("GET", "/state/g"))[1]["values"]
    assert 0 <= row["expires_at"] - before - 600_000 < 60_000


async def test_a_version_guards_against_overwriting_what_was_not_seen(api: Api) -> None:
    path = "/state/g/k"
    _, made = await api.ask("PUT", f"{path}?version=none", content=b"1")
    _, seen = await api.ask("GET", path)
    assert seen["version"] == made["version"]
    assert (await api.ask("PUT", f"{path}?version=none", content=b"2"))[0] == 409
    status, _ = await api.ask("PUT", f"{path}?version={seen['version']}", content=b"2")
    assert status == 200

    assert await api.ask("PUT", f"{path}?version={seen['version']}", content=b"3") == (
        409, {"error": '"k" of "g" has another value by now; it was left as it is'},
    )  # fmt: skip
    assert (await api.ask("GET", path))[1]["value"] == 2
    status, answer = await api.ask("PUT", f"/state/g/l?version={seen['version']}", content=b"3")
    assert status == 409 and "is not there" in answer["error"]


@pytest.mark.parametrize("ttl", ["0", "-1", "x", "nan", "inf", "", "1e300"])
async def test_a_time_to_live_that_is_none_is_refused(api: Api, ttl: str) -> None:
    status, answer = await api.ask("PUT", f"/state/g/k?ttl_s={ttl}", content=b"1")

    assert status == 400 and "ttl_s must be" in answer["error"]
    assert await api.store.state_page("g", None, 9, 9) == []


def test_a_page_costs_the_same_however_large_the_group_or_many_the_groups() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.prepare(connection, ":memory:")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def cost(read: Callable[[], Sized], rows: int) -> int:
        nonlocal steps
        steps = 0
        assert len(read()) == rows
        return steps

    def fill(keys: int, groups: int) -> None:
        rows = [("big", f"{n:06}") for n in range(keys)]
        rows += [(f"group {n:05}", "k") for n in range(groups)]
        connection.execute("BEGIN")
        connection.executemany("INSERT OR IGNORE INTO state VALUES (?,?,'json',X'31',0,NULL)", rows)
        connection.execute("COMMIT")

    def costs() -> list[int]:
        connection.set_progress_handler(count, 1)
        page = cost(lambda: listing.state_page(connection, "big", "000050", 50, 9, 1), 50)
        groups = cost(lambda: listing.state_counts(connection, "group 00009", 50, 1), 50)
        connection.set_progress_handler(None, 0)
        return [page, groups]

    fill(101, 60)
    small = costs()
    fill(100_000, 10_000)
    assert all(big <= 1.1 * cost for big, cost in zip(costs(), small, strict=True))
    connection.close()


async def test_a_group_is_cleared(api: Api) -> None:
    for group in ("g", "gg"):
        await api.store.apply((StateSet(group, "a", encode(1)), StateSet(group, "b", encode(1))))

    assert await api.ask("DELETE", "/state/g") == (200, {"deleted": 2})
    assert [each.name for each in await api.store.state_counts(None, 9)] == ["gg"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"{", 400), (b"nope", 400), (b'"' + b"x" * 300 + b'"', 413)]
)
async def test_a_value_that_is_no_json_or_too_long_is_refused(
    api: Api, body: bytes, status: int
) -> None:
    found, answer = await api.ask("PUT", "/state/g/k", content=body)

    assert found == status
    assert "JSON" in answer["error"] or "limit" in answer["error"]
    assert await api.store.state_page("g", None, 9, 9) == []


async def test_every_path_is_documented(api: Api) -> None:
    text = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")
    part = text.split("\n## JSON API\n")[1].split("\n## ")[0]
    paths = api.paths

    told = [
        path.removeprefix(manage.ROOT).replace("{names:names}", "{group}/{key}") for path in paths
    ]
    assert [path for path in told if f"`{path}" not in part] == []


def _quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())
