"""Changing dead letters and state over a real socket: who may, and what a running project does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.flows.harness import Running, start
from tests.http.wire import ask

pytestmark = pytest.mark.anyio

PAY = """
    config = {
        "type": "event", "name": "Pay", "subscribes": ["order"], "emits": [],
        "infrastructure": {"queue": {"maxRetries": 0}},
    }

    async def handler(order, context):
        if order["amount"] < 0:
            raise ValueError("no such amount")
        await context.state.set("paid", order["id"], order["amount"])
    """
PACK = """
    config = {
        "type": "event", "name": "Pack", "subscribes": ["packed"], "emits": [],
        "infrastructure": {"queue": {"type": "fifo", "maxRetries": 0}},
    }

    async def handler(box, context):
        raise ValueError(f"box {box} is torn")
    """
API = "/_stepweave/api"
CHANGES = [
    ("POST", f"{API}/dead/1/retry"),
    ("POST", f"{API}/dead/retry"),
    ("POST", f"{API}/dead/discard"),
    ("DELETE", f"{API}/dead/1"),
    ("POST", f"{API}/events/cancel"),
    ("DELETE", f"{API}/events/0000000000000001"),
    ("PUT", f"{API}/state/g/k"),
    ("DELETE", f"{API}/state/g/k"),
    ("DELETE", f"{API}/state/g"),
]


@pytest.fixture(scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(
        tmp_path_factory.mktemp("dev"),
        {"steps/pay.step.py": PAY, "steps/pack.step.py": PACK},
        mode="dev",
    ) as running:
        yield running


async def bury(running: Running, order: Any) -> int:
    """Emit what the step fails on; the id of the dead letter."""
    await running.emit("order", order)
    await running.settled()
    return int((await running.dead())[0].id)


@pytest.mark.parametrize(("method", "target"), CHANGES)
@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_a_page_from_elsewhere_changes_nothing(
    dev: Running, method: str, target: str, origin: str
) -> None:
    answer = await ask(dev, method, target, ("origin", origin))
    assert answer.status == 403
    assert answer.json() == {"error": f"pages of {origin} may not use this API"}

    rebound = await dev.http.request(method, target, headers={"host": "evil.example"})
    assert rebound.status_code == 403


@pytest.mark.parametrize(("method", "target"), CHANGES)
async def test_production_is_closed_without_a_token_and_open_with_it(
    method: str, target: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with start(tmp_path_factory.mktemp("closed"), {"steps/empty.txt": ""}) as closed:
        assert (await ask(closed, method, target)).status == 404
    async with start(
        tmp_path_factory.mktemp("token"), {"steps/empty.txt": ""}, STEPWEAVE_SERVER_TOKEN="s3cret"
    ) as tokened:
        assert (await ask(tokened, method, target)).status == 401
        headers = {"authorization": "Bearer s3cret"}
        answer = await tokened.http.request(method, target, headers=headers)
        assert answer.status_code != 401


async def test_a_letter_is_delivered_at_once_with_the_data_as_mended(dev: Running) -> None:
    id = await bury(dev, {"id": "o-1", "amount": -5})
    shown = (await ask(dev, "GET", f"{API}/dead/{id}")).json()
    assert shown["data"] == {"id": "o-1", "amount": -5}
    assert shown["error"]["message"] == "no such amount"
    assert [frame["line"] for frame in shown["error"]["frames"]] == [8]

    answer = await dev.http.post(
        f"{API}/dead/{id}/retry", json={"data": {"id": "o-1", "amount": 5}}
    )

    assert answer.status_code == 200
    await dev.settled()
    found = (await ask(dev, "GET", f"{API}/state/paid/o-1")).json()
    assert found["value"] == 5
    assert await dev.dead() == []


async def test_a_held_group_is_shown_and_goes_on_when_its_letter_is_discarded(
    dev: Running,
) -> None:
    boxes = [await dev.emit("packed", n, group="g") for n in range(3)]
    await dev.until(dev.dead, "a dead letter")
    (letter,) = await dev.dead()
    held = (await ask(dev, "GET", f"{API}/events?state=held")).json()["events"]
    assert [it["event"] for it in held] == [boxes[2], boxes[1]]
    queues = (await ask(dev, "GET", f"{API}/queues")).json()["queues"]
    (pack,) = [it for it in queues if it["step"] == "Pack"]
    assert pack["held"] == [{"group": "g", "behind": 2}]
    assert (await ask(dev, "DELETE", f"{API}/events/{boxes[1]}")).json()["cancelled"] == 1

    assert (await ask(dev, "DELETE", f"{API}/dead/{letter.id}")).status == 200
    await dev.settled()
    (letter,) = await dev.dead()
    shown = (await ask(dev, "GET", f"{API}/events/{boxes[2]}")).json()
    assert (shown["data"], shown["deliveries"][0]["dead"]) == (2, letter.id)
    assert (await ask(dev, "DELETE", f"{API}/dead/{letter.id}")).status == 200


async def test_a_body_over_the_limit_is_a_413(dev: Running) -> None:
    answer = await ask(dev, "PUT", f"{API}/state/g/k", ("content-length", str(1 << 30)))

    assert answer.status == 413
    assert "the limit is" in answer.json()["error"]
