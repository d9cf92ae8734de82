"""The context of a handler, on a peer that answers at once."""

from __future__ import annotations

import asyncio
import datetime
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from runners.python.tests.conftest import Run
from runners.python.tests.harness import payload, value
from stepweave_runner.context import Context
from stepweave_runner.errors import Cancelled, StepweaveError
from stepweave_runner.request import Request


def test_keys_and_attributes_reach_the_same(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        for name in ("logger", "state", "streams", "flows", "attempt", "trace_id", "traceId"):
            assert context[name] is getattr(context, name)
        assert context["emit"] == context.emit
        assert context.trace_id == context.traceId == "ab" * 16
        assert (context.flows, context.attempt) == (["main"], 2)
        assert (context["deadline"], context["cancelled"], context.cancel_reason) == (
            None,
            False,
            None,
        )
        assert "logger" in context and "nothing" not in context
        assert context.get("nothing") is None
        assert set(context) >= {"emit", "logger", "state", "streams"}
        with pytest.raises(KeyError):
            context["_scope"]
        with pytest.raises(AttributeError):
            context.nothing  # type: ignore[attr-defined]  # noqa: B018

    run(test)


def test_middleware_may_add_entries(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        context["user"] = "ann"
        context.role = "admin"  # type: ignore[attr-defined]
        assert context.user == "ann" and context["role"] == "admin"  # type: ignore[attr-defined]
        assert dict(context)["user"] == "ann"
        del context["user"]
        assert "user" not in context

    run(test)


EVENTS: list[tuple[Callable[[Context], Any], dict[str, Any]]] = [
    (lambda c: c.emit({"topic": "a", "data": 1}), {"data": ["json", b"1"]}),
    (lambda c: c["emit"]({"topic": "a", "data": None}), {"data": ["json", b"null"]}),
    (lambda c: c.emit({"topic": "a"}), {"data": None}),
    (lambda c: c.emit("a", {"n": 1}), {"data": ["json", b'{"n":1}']}),
    (lambda c: c.emit("a", data=b"x"), {"data": ["bytes", b"x"]}),
    (lambda c: c.emit(topic="a", data=1, id=7), {"id": "7"}),
    (lambda c: c.emit({"topic": "a", "messageGroupId": "g"}), {"group": "g"}),
    (lambda c: c.emit({"topic": "a"}, message_group_id="g"), {"group": "g"}),
    (lambda c: c.emit({"topic": "a", "group": 3}), {"group": "3"}),
    (lambda c: c.emit({"topic": "a", "delay": 1500}), {"delay_ms": 1500}),
    (lambda c: c.emit({"topic": "a", "delaySeconds": 1.5}), {"delay_ms": 1500}),
    (lambda c: c.emit("a", delay_seconds=2), {"delay_ms": 2000}),
    (lambda c: c.emit("a", delay=datetime.timedelta(seconds=2)), {"delay_ms": 2000}),
    (lambda c: c.emit("a", delay=5, delay_seconds=2), {"delay_ms": 5}),
    (lambda c: c.emit({"topic": "a", "priority": -1000}), {"priority": -1000}),
    (lambda c: c.emit("a", priority=0), {"priority": 0}),
    (lambda c: c.emit("a", at=1893456000000), {"at": 1893456000000}),
    (lambda c: c.emit("a", at="2030-01-01T00:00:00Z"), {"at": 1893456000000}),
    (
        lambda c: c.emit("a", at=datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)),
        {"at": 1893456000000},
    ),
]


@pytest.mark.parametrize(("emit", "expected"), EVENTS)
def test_emit_takes_every_form(
    emit: Callable[[Context], Any], expected: dict[str, Any], run: Run
) -> None:
    async def test(context: Context, peer: Any) -> None:
        peer.results["emit"] = {"event": "ev1"}
        assert await emit(context) == "ev1"
        ((method, params),) = peer.asked
        assert method == "emit"
        assert {"topic": "a", "scope": 7, **expected}.items() <= params.items()
        assert set(params) <= {"topic", "scope", "data", *expected}

    run(test)


@pytest.mark.parametrize("wrong", [{}, {"data": 1}, {"topic": 3}, None, {"topic": ""}])
def test_emit_without_a_topic_says_what_to_pass(wrong: Any, run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        with pytest.raises(TypeError, match=r'emit needs a topic: emit\({"topic": "order.created"'):
            context.emit(wrong)
        with pytest.raises(TypeError, match="emit needs an event"):
            context.emit(42)
        assert peer.asked == []

    run(test)


def test_a_value_that_cannot_travel_is_named_with_its_call(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        with pytest.raises(StepweaveError, match="emit a: data: order is an object") as caught:
            context.emit("a", {"order": object()})
        assert caught.value.code == "invalid_payload"
        with pytest.raises(StepweaveError, match=r"state\.set g/k: the value is an object"):
            context.state.set("g", "k", object())

    run(test)


def test_records_of_the_logger(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        logger = context.logger
        logger.info("paid", {"order": 1})
        logger.debug("paid", order=1, raw=b"\x00")
        logger.warning("left %d of %s", 3, "tea")
        logger.warn("plain")
        logger.error(ValueError("no stock"))
        logger.log("said")
        logger.log("ERROR", "by name")
        logger.log(30, "by number")
        logger.info("hundred %", 5)
        logger.error("failed", KeyError("id"))
        try:
            raise ValueError("caught")
        except ValueError:
            logger.exception("kept")
        logger.info({"not": "text"})

        said = [(record["level"], record["message"]) for record in peer.records]
        assert said == [
            ("info", "paid"),
            ("debug", "paid"),
            ("warn", "left 3 of tea"),
            ("warn", "plain"),
            ("error", "no stock"),
            ("info", "said"),
            ("error", "by name"),
            ("warn", "by number"),
            ("info", "hundred %"),
            ("error", "failed"),
            ("error", "kept"),
            ("info", "{'not': 'text'}"),
        ]
        fields = [value(record.get("fields")) for record in peer.records]
        assert fields[:2] == [{"order": 1}, {"order": 1, "raw": "AA=="}]
        assert (fields[4]["error"]["name"], fields[8]) == ("ValueError", {"data": 5})
        assert fields[9]["error"]["name"] == "KeyError"
        assert "caught" in fields[10]["error"]["stack"]
        assert all(record["scope"] == 7 for record in peer.records)

    run(test)


def test_a_record_that_cannot_travel_is_told_without_its_fields(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        context.logger.info("odd", {"it": object()})
        assert peer.records[0]["message"] == "odd"
        assert "it is an object" in value(peer.records[0]["fields"])["fields"]

    run(test)


def test_a_call_that_is_not_awaited_goes_out_and_does_not_warn(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        context.emit("a")
        gc.collect()
        assert [method for method, _ in peer.asked] == ["emit"]

    run(test)


def test_a_call_can_be_a_task_gathered_and_timed(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        peer.results["emit"] = {"event": "ev"}
        task = asyncio.create_task(context.emit("a"))
        assert await task == "ev"
        both = await asyncio.gather(context.emit("b"), context.emit("c"))
        assert tuple(both) == ("ev", "ev")
        assert await asyncio.wait_for(context.emit("d"), 10) == "ev"
        peer.errors["emit"] = {"code": "not_declared", "message": "no such topic"}
        with pytest.raises(StepweaveError, match="no such topic"):
            await asyncio.create_task(context.emit("e"))

    run(test)


def test_in_a_thread_a_call_blocks_and_in_its_own_loop_it_is_awaited(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        peer.results = {"state.get": payload(5), "emit": {"event": "ev"}}

        async def inside() -> Any:
            return await context.state.get("g", "k")

        def work() -> list[Any]:
            return [context.emit("a"), context.state.get("g", "k"), asyncio.run(inside())]

        assert await asyncio.to_thread(work) == ["ev", 5, 5]

    run(test)


def test_after_the_answer_a_call_fails_with_the_step_named(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        context._scope.closed = True
        with pytest.raises(StepweaveError, match=r"steps/a\.step\.py: its handler has finished"):
            context.emit("a")
        context.logger.info("still said")
        assert peer.asked == [] and "scope" not in peer.records[0]

    run(test)


def test_a_cancelled_thread_gets_cancelled_from_its_calls(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        scope, asked = context._scope, threading.Event()
        peer.request = lambda *args: asked.set()
        raised: list[BaseException] = []

        def work() -> None:
            for _ in range(2):
                try:
                    context.state.get("g", "k")
                except Cancelled as error:
                    raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        await asyncio.to_thread(asked.wait)
        scope.cancel("timeout")
        thread.join()
        assert [str(error) for error in raised] == ["timeout"] * 2

    run(test)


def test_a_request_has_keys_and_attributes() -> None:
    request = Request(
        {
            "method": "POST",
            "path": "/orders/1",
            "params": {"id": "1"},
            "query": {"q": ["a", "b"]},
            "headers": {"x-a": "1"},
            "body": ["json", '{"name": "žluť"}'.encode()],
        }
    )

    assert request["body"] == request.body == request.get("body") == {"name": "žluť"}
    assert request["pathParams"] == request.path_params == request["path_params"] == {"id": "1"}
    assert request.queryParams == request.get("query_params") == {"q": ["a", "b"]}
    assert request.rawBody == request["raw_body"] == '{"name": "žluť"}'
    assert (request.method, request.path, request.headers) == ("POST", "/orders/1", {"x-a": "1"})
    assert "raw_body" in request and request.get("nothing", 1) == 1
    with pytest.raises(AttributeError, match="a request has no 'user'"):
        request.user  # noqa: B018
    request.user = "ann"
    assert request["user"] == "ann"


def test_a_request_without_a_body() -> None:
    request = Request({"method": "GET", "path": "/"})

    assert (request.body, request.raw_body, request.headers) == ({}, "", {})
