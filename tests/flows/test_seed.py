"""The seed project's five steps, unchanged: they load, run, and fail where they must."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stepweave import payload
from stepweave.engine.store.operations import StateSet
from tests.flows.harness import Running, start

pytestmark = pytest.mark.anyio

SEED = Path(__file__).with_name("seed")
PACKAGES = (SEED, *(SEED.parents[2] / folder for folder in ("examples/pet-store", "runners/node")))
"""Where zod may be; setting up the repository installs it in the last two."""


def witness(topic: str) -> str:
    """A step that keeps the events of a topic by trace; in the seed nobody listens to the last."""
    return f"""
        config = {{"type": "event", "name": "Witness {topic}", "subscribes": ["{topic}"]}}
        async def handler(data, context):
            await context.state.set("{topic}", context.trace_id, data)
    """


TOPICS = ("order.created", "payment.failed", "analysis.failed", "analytics.generated")
TOPICS += ("report.generated", "report.failed")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    shutil.copytree(SEED / "steps", tmp_path / "steps")
    for stand_in in SEED.glob("*.py"):
        shutil.copy(stand_in, tmp_path)
    zod = [each / "node_modules" / "zod" for each in PACKAGES]
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "zod").symlink_to(next(each for each in zod if each.is_dir()))
    files = {f"witness/{topic.replace('.', '_')}.step.py": witness(topic) for topic in TOPICS}
    async with start(
        tmp_path, files | {"stepweave.toml": '[steps]\nextra = ["witness"]\n'}, mode="dev"
    ) as it:
        yield it


def fields(running: Running, message: str) -> dict[str, Any]:
    """The fields of the only record with this message."""
    (record,) = [each for each in running.records if each.message == message]
    found: dict[str, Any] = json.loads(record.fields or b"{}")
    return found


async def test_the_steps_load_as_they_are(running: Running) -> None:
    registry = running.it.registry
    assert [p for p in registry.all_problems if p.severity == "error"] == []
    kinds = {name: str(step.kind) for name, step in registry.steps.items() if " " not in name}
    assert kinds == {
        "AnalyzeSentiment": "event",
        "CreateOrder": "api",
        "GenerateAnalytics": "cron",
        "GenerateReport": "event",
        "ProcessPayment": "event",
    }
    for name in kinds:
        step = registry.steps[name]
        assert (SEED / step.relpath).read_bytes() == step.path.read_bytes()


async def test_an_order_is_created_and_its_payment_fails_where_the_seed_leaves_it_open(
    running: Running,
) -> None:
    answer = await running.http.post("/orders", json={"productId": "p-1", "quantity": 2})
    assert answer.status_code == 201
    order = answer.json()
    assert (order["productId"], order["quantity"]) == ("p-1", 2)
    assert order["createdAt"].endswith("Z") and datetime.fromisoformat(order["createdAt"])
    await running.settled()
    trace = answer.headers["x-trace-id"]
    assert await running.state("orders") == {order["id"]: order}
    assert await running.state("order.created") == {trace: order}

    error = "processPayment is not defined"
    assert await running.state("payment.failed") == {
        trace: {"orderId": order["id"], "error": error}
    }
    assert fields(running, "Processing payment") == {"orderId": order["id"]}
    assert fields(running, "Payment failed") == {"orderId": order["id"], "error": error}
    assert await running.state("payments") == {}
    assert await running.dead() == []


async def test_an_order_that_makes_no_sense_is_refused_with_every_reason(running: Running) -> None:
    answer = await running.http.post("/orders", json={"quantity": "two"})
    assert answer.status_code == 400
    assert {issue["path"] for issue in answer.json()["issues"]} == {"productId", "quantity"}


async def test_a_review_ends_in_the_steps_own_error_branch_with_the_name_that_is_missing(
    running: Running,
) -> None:
    await running.emit("review.submitted", {"reviewId": "r1", "text": "Lovely!", "userId": "u1"})
    await running.settled()
    (failed,) = (await running.state("analysis.failed")).values()
    assert failed == {"reviewId": "r1", "error": "name 'datetime' is not defined"}
    assert "Sentiment analysis failed: name 'datetime' is not defined" in running.messages
    undeclared = [m for m in running.messages if "analysis.failed" in m and "emits" in m]
    assert len(undeclared) == 1
    assert await running.dead() == []


async def test_analytics_become_a_report(running: Running) -> None:
    now = datetime.now()
    ages = {"o1": now, "o2": now - timedelta(days=2), "o3": now - timedelta(days=30)}
    for number, (id, at) in enumerate(ages.items()):
        order = {
            "id": id,
            "productId": "p-1" if number < 2 else "p-2",
            "amount": 10 * number,
            "createdAt": at.isoformat(),
        }
        await running.it.store.apply((StateSet("orders", id, payload.encode(order), None, None),))
    assert await running.cron("GenerateAnalytics") == "ok"
    await running.settled()

    (weekly,) = (await running.state("analytics")).values()
    assert (weekly["totalOrders"], weekly["weeklyOrders"], weekly["averageOrderValue"]) == (
        3,
        2,
        10,
    )
    assert weekly["topProducts"] == {"p-1": 2, "p-2": 1}
    assert list((await running.state("analytics.generated")).values()) == [weekly]

    (report,) = (await running.state("reports")).values()
    assert list((await running.state("report.generated")).values()) == [report]
    assert report["csv_data"].splitlines() == [
        "Metric,Value",
        "Total Orders,3",
        "Weekly Orders,2",
        "Average Order Value,10.0",
        "Product p-1,2",
        "Product p-2,1",
    ]
    assert "<p>Total Orders: 3</p>" in report["html_report"]
    assert datetime.fromisoformat(report["generated_at"])
    assert fields(running, "Report generated successfully") == {"report_id": report["id"]}
    assert "Analytics generated successfully" in running.messages


async def test_analytics_of_orders_with_a_time_zone_end_in_the_steps_own_error_branch(
    running: Running,
) -> None:
    assert await running.cron("GenerateAnalytics") == "ok"
    assert "No orders data available" in running.messages
    await running.http.post("/orders", json={"productId": "p-1", "quantity": 2})
    assert await running.cron("GenerateAnalytics") == "ok"
    (told,) = [message for message in running.messages if "Analytics generation failed" in message]
    assert "can't compare offset-naive and offset-aware datetimes" in told
