"""The pet store of the examples: an order goes through four languages, as its README says."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.harness import Running, start

pytestmark = pytest.mark.anyio

PET_STORE = Path(__file__).parents[2] / "examples" / "pet-store"
CHAIN = [
    ("CreateOrder", "typescript"),
    ("PriceOrder", "python"),
    ("FulfillOrder", "javascript"),
    ("NotifyCustomer", "ruby"),
]


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    root = tmp_path_factory.mktemp("store") / "pet-store"
    shutil.copytree(PET_STORE, root, ignore=shutil.ignore_patterns("node_modules", ".stepweave"))
    (root / "node_modules").symlink_to(PET_STORE / "node_modules")
    async with start(root, mode="dev") as it:
        yield it


@pytest.fixture
async def pet(running: Running) -> dict[str, Any]:
    answer = await running.http.post("/pets", json={"name": "Mia", "species": "cat"})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def order(running: Running, pet: dict[str, Any], **more: Any) -> tuple[dict[str, Any], str]:
    """An order once its flow has settled, and its trace."""
    wanted = {
        "petId": pet["id"],
        "product": "tuna-feast",
        "quantity": 12,
        "email": "ann@example.com",
        **more,
    }
    answer = await running.http.post("/orders", json=wanted)
    assert answer.status_code == 201, answer.text
    await running.settled()
    found = (await running.http.get(f"/orders/{answer.json()['id']}")).json()
    return found, answer.json()["traceId"]


async def test_the_project_has_no_problems(running: Running) -> None:
    assert [str(p) for p in running.it.registry.all_problems if p.severity != "info"] == []
    assert running.it.registry.flows.keys() == {"pet-store"}


async def test_a_pet_gets_its_recommendations(running: Running, pet: dict[str, Any]) -> None:
    await running.settled()
    listed = (await running.http.get("/pets", params={"species": "cat"})).json()
    (found,) = [each for each in listed if each["id"] == pet["id"]]
    assert found["name"] == "Mia" and found["recommended"]
    assert (await running.http.get("/pets", params={"species": "fish"})).json() == []


async def test_an_order_passes_through_four_languages_in_one_trace(
    running: Running, pet: dict[str, Any]
) -> None:
    placed, trace_id = await order(running, pet)
    assert (placed["status"], placed["complete"]) == ("fulfilled", True)
    assert placed["tracking"].startswith("SW-")
    assert "Mia" in placed["letters"]["fulfilled"]["text"]
    receipt = await running.http.get(f"/orders/{placed['id']}/receipt")
    assert (receipt.status_code, placed["tracking"] in receipt.text) == (200, True)

    async def spans() -> dict[str, Any]:
        trace = await running.it.traces.trace(trace_id)
        return {span["name"]: span for span in (trace or {"spans": []})["spans"]}

    async def complete() -> bool:
        found = await spans()
        return all(found.get(name, {}).get("ended_at") for name, _ in CHAIN)

    await running.until(complete, "the whole trace")
    found = await spans()
    assert [(found[name]["name"], found[name]["language"]) for name, _ in CHAIN] == CHAIN
    assert {found[name]["status"] for name, _ in CHAIN} == {"ok"}
    for (cause, _), (effect, _) in itertools.pairwise(CHAIN):
        assert found[effect]["parent_id"] == found[cause]["span_id"]
    assert (await running.state("orders"))[placed["id"]] == placed
    assert await running.dead() == []


async def test_an_order_too_large_for_the_van_waits_and_the_audit_speaks_up(
    running: Running, pet: dict[str, Any]
) -> None:
    placed, _ = await order(running, pet, quantity=50, shipBy="2020-01-01T00:00:00Z")
    assert placed["status"] == "waiting"
    assert await running.cron("AuditOverdueOrders") == "ok"
    await running.settled()
    late = (await running.http.get(f"/orders/{placed['id']}")).json()
    assert late["overdueSince"]
    assert late["letters"]["waiting"]["subject"] == "Your order is late"
    before = late["letters"]
    await running.cron("AuditOverdueOrders")
    await running.settled()
    again = (await running.http.get(f"/orders/{placed['id']}")).json()
    assert again["letters"] == before, "nobody is told twice"


async def test_what_cannot_be_ordered_is_answered_with_the_reason(
    running: Running, pet: dict[str, Any]
) -> None:
    wanted = {"petId": "nobody", "product": "tuna-feast", "quantity": 1, "email": "a@example.com"}
    answer = await running.http.post("/orders", json=wanted)
    assert answer.status_code == 404
    assert "there is no pet nobody" in answer.json()["error"]
    answer = await running.http.post("/orders", json={**wanted, "quantity": 0, "email": "?"})
    assert answer.status_code == 400
    assert {issue["path"] for issue in answer.json()["issues"]} == {"quantity", "email"}
    rejected, _ = await order(running, pet, product="gravel")
    assert rejected["status"] == "rejected"
