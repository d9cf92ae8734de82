"""Trace ids: one on every answer, taken over from the caller and passed on with events."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepweave.trace import new_span_id, new_trace_id
from tests.flows.harness import Running, start
from tests.http.wire import Answer, ask, request

pytestmark = pytest.mark.anyio

FILES = {
    "steps/order.step.py": """
        config = {
            "type": "api", "name": "Order", "method": "POST", "path": "/orders",
            "emits": ["order.created"], "bodySchema": {"id": "string"},
        }

        async def handler(req, context):
            await context.emit({"topic": "order.created", "data": req.body})
            return {"status": 202, "body": {"traceId": context.trace_id}}
        """,
    "steps/pay.step.js": """
        exports.config = {
          type: 'event', name: 'Pay', subscribes: ['order.created'], emits: ['order.paid'],
        }
        exports.handler = async (order, { emit, state, traceId }) => {
          await state.set('paid', order.id, traceId)
          await emit({ topic: 'order.paid', data: order })
        }
        """,
    "steps/ship.step.rb": """
        def config = { type: "event", name: "Ship", subscribes: ["order.paid"], emits: [] }

        def handler(order, context)
          context.state.set("shipped", order["id"], context.trace_id)
        end
        """,
    "steps/fail.step.py": """
        config = {"type": "api", "name": "Fail", "method": "GET", "path": "/fail"}

        async def handler(req, context):
            raise ValueError("no")
        """,
}
JSON = ("content-type", "application/json")


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    root = tmp_path_factory.mktemp("shop")
    async with start(root, FILES, mode="dev", STEPWEAVE_SERVER_MAX_BODY="1000") as it:
        yield it


async def order(shop: Running, *head: tuple[str, str]) -> Answer:
    answer = await ask(shop, "POST", "/orders", JSON, *head, body=b'{"id":"o1"}')
    assert answer.status == 202, answer
    return answer


async def spans(shop: Running, trace_id: str) -> dict[str, dict[str, Any]]:
    """The finished spans of a trace by the name of their step."""
    await shop.settled()
    found = await ask(shop, "GET", f"/_stepweave/api/traces/{trace_id}")
    return {span["name"]: span for span in found.json()["spans"]}


@pytest.mark.parametrize(
    "asked",
    [
        request("POST", "/orders", JSON, body=b'{"id":"o1"}'),
        request("POST", "/orders", JSON, body=b"{}"),
        request("POST", "/orders", JSON, body=b"{"),
        request("POST", "/orders", JSON, body=b"x" * 1001),
        request("POST", "/orders?" + "a&" * 1001),
        request("GET", "/orders"),
        request("GET", "/nowhere"),
        request("GET", "/fail"),
        request("GET", "/"),
        request("POST", "/"),
        request("GET", "/_stepweave/health"),
        request("GET", "/_stepweave/api/steps"),
        request("GET", "/_stepweave/api/logs?limit=x"),
        request("GET", "/_stepweave/nowhere"),
    ],
)
async def test_every_answer_has_a_trace_id_of_its_own(shop: Running, asked: bytes) -> None:
    method, target, _ = asked.split(b" ", 2)
    body = asked.partition(b"\r\n\r\n")[2]
    ids = []
    for _ in range(2):
        answer = await ask(shop, method.decode(), target.decode(), JSON, body=body or None)
        ids.append(answer.get("x-trace-id") or "")

    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids)
    assert len(set(ids)) == 2


async def test_the_trace_goes_on_through_events_in_other_languages(shop: Running) -> None:
    answer = await order(shop)

    trace_id = answer.json()["traceId"]
    assert answer.get("x-trace-id") == trace_id
    found = await spans(shop, trace_id)
    assert list(found) == ["Order", "Pay", "Ship"]
    assert await shop.state("shipped") == {"o1": trace_id}
    assert found["Order"]["parent_id"] is None
    assert found["Pay"]["parent_id"] == found["Order"]["span_id"]
    assert found["Ship"]["parent_id"] == found["Pay"]["span_id"]
    assert found["Order"]["http_status"] == 202


async def test_a_traceparent_is_taken_over_and_passed_on(shop: Running) -> None:
    trace_id, caller = new_trace_id(), new_span_id()

    answer = await order(shop, ("traceparent", f"00-{trace_id}-{caller}-01"))

    assert answer.get("x-trace-id") == answer.json()["traceId"] == trace_id
    found = await spans(shop, trace_id)
    assert found["Order"]["parent_id"] == caller
    assert found["Pay"]["parent_id"] == found["Order"]["span_id"]
    assert await shop.state("paid") == {"o1": trace_id}


@pytest.mark.parametrize("target", ["/fail", "/orders"])
async def test_an_error_carries_the_callers_trace_too(shop: Running, target: str) -> None:
    trace_id = new_trace_id()
    method = "GET" if target == "/fail" else "POST"
    parent = ("traceparent", f"00-{trace_id}-{new_span_id()}-00")

    for body in (None, b"{", b"x" * 1001) if method == "POST" else (None,):
        answer = await ask(shop, method, target, JSON, parent, body=body)
        assert answer.status >= 400
        assert answer.get("x-trace-id") == trace_id


@pytest.mark.parametrize(
    "given",
    [
        ["nonsense"],
        [""],
        [f"00-{'0' * 32}-{'1' * 16}-01"],
        [f"00-{'1' * 32}-{'0' * 16}-01"],
        [f"00-{'A' * 32}-{'1' * 16}-01"],
        [f"ff-{'1' * 32}-{'1' * 16}-01"],
        [f"00-{'1' * 32}-{'1' * 16}-01-more"],
        [f"00-{'1' * 32}-{'1' * 16}-01", f"00-{'2' * 32}-{'1' * 16}-01"],
        ["00-" + "1" * 5000],
    ],
)
async def test_a_traceparent_that_breaks_the_rules_is_ignored(
    shop: Running, given: list[str]
) -> None:
    answer = await order(shop, *(("traceparent", text) for text in given))

    trace_id = answer.get("x-trace-id") or ""
    assert re.fullmatch("[0-9a-f]{32}", trace_id)
    assert trace_id not in ("1" * 32, "2" * 32, "0" * 32)


# --- request ids


@pytest.mark.parametrize("target", ["/orders", "/fail", "/nowhere", "/", "/_stepweave/health"])
async def test_the_callers_request_id_comes_back(shop: Running, target: str) -> None:
    answer = await ask(shop, "GET", target, ("x-request-id", "req-7/a=b"))

    assert answer.get("x-request-id") == "req-7/a=b"
    assert answer.get("x-trace-id") != "req-7/a=b"


@pytest.mark.parametrize("target", ["/orders", "/fail", "/nowhere", "/", "/_stepweave/health"])
@pytest.mark.parametrize(
    "given", [[], [""], ["a b"], ["x" * 201], ["caf\xe9"], ["one", "two"]], ids=repr
)
async def test_without_a_good_one_the_request_id_is_the_trace_id(
    shop: Running, target: str, given: list[str]
) -> None:
    answer = await ask(shop, "GET", target, *(("x-request-id", text) for text in given))

    assert answer.get("x-request-id") == answer.get("x-trace-id")


async def test_the_trace_tells_the_request_id(shop: Running) -> None:
    answer = await order(shop, ("x-request-id", "req-8"))

    assert answer.get("x-request-id") == "req-8"
    found = await spans(shop, answer.get("x-trace-id") or "")
    assert "request id req-8" in str(found["Order"]["events"])
