"""The JSON API for dead letters."""

from __future__ import annotations

from typing import Any

import pytest

from stepweave.engine.store.operations import Bury
from stepweave.payload import Payload, encode
from tests.unit.manage.kit import ERROR, Api

pytestmark = pytest.mark.anyio


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
