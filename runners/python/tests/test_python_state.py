"""State and streams in the context of a handler, on a peer that answers at once."""

from __future__ import annotations

from typing import Any

import pytest

from runners.python.tests.conftest import Run
from runners.python.tests.harness import payload, value
from stepweave_runner.context import Context
from stepweave_runner.errors import StepweaveError


def test_an_option_that_there_is_not_is_named(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        state = context["state"]
        with pytest.raises(TypeError, match='has no option "ttl"; it takes ttl_ms and'):
            state.set("g", "k", 1, {"ttl": 5})
        with pytest.raises(TypeError, match="takes ttl_ms as a number, not '5'"):
            state.set("g", "k", 1, ttlMs="5")
        with pytest.raises(TypeError, match='has no option "max"; it takes after'):
            state.get_group("g", max=5)
        with pytest.raises(TypeError, match='has no option "expected"'):
            state.update("g", "k", [], expected=5)
        assert peer.asked == []

    run(test)


def test_state_is_read_and_written(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        state = context["state"]
        peer.results = {
            "state.get": payload({"n": 1}),
            "state.delete": payload(0),
            "state.clear": 3,
            "state.groups": ["a", "b"],
            "state.update": payload(5),
        }
        assert await state.get("g", "k") == {"n": 1}
        assert await state.set("g", "k", {"n": 2}) == {"n": 2}
        assert await state.delete("g", "k") == 0
        assert await state.clear("g") == 3
        assert await state.groups() == await state.list_groups() == await state.listGroups()
        assert await state.increment("g", "k", 2) == 5
        assert await state.trace.get("k") == {"n": 1}
        methods = [method for method, _ in peer.asked]
        assert methods[:4] == ["state.get", "state.set", "state.delete", "state.clear"]
        assert peer.asked[1][1] == {
            "scope": 7,
            "group": "g",
            "key": "k",
            "value": ["json", b'{"n":2}'],
        }
        assert peer.asked[-1][1]["group"] == "ab" * 16
        peer.results["state.get"] = None
        assert await state.get("g", "missing") is None

    run(test)


def test_options_of_set(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        state = context.state
        await state.set("g", 1, 0, {"ttlMs": 1000, "expect": None})
        await state.set("g", "k", 0, ttl_ms=5, expect={"a": 1})
        first, second = (params for _, params in peer.asked)
        assert (first["key"], first["ttl_ms"], first["expect"]) == ("1", 1000, None)
        assert (second["ttl_ms"], second["expect"]) == (5, ["json", b'{"a":1}'])
        peer.errors["state.set"] = {"code": "conflict", "message": "other"}
        with pytest.raises(StepweaveError, match="other") as caught:
            await state.set("g", "k", 1, expect=0)
        assert caught.value.code == "conflict"

    run(test)


def test_compare_and_set_says_whether_it_was_done(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        assert await context.state.compare_and_set("g", "k", None, 1) is True
        assert peer.asked[0][1]["expect"] is None
        peer.errors["state.set"] = {"code": "conflict", "message": "other"}
        assert await context.state.compareAndSet("g", "k", 1, 2) is False
        peer.errors["state.set"] = {"code": "state_failed", "message": "disk"}
        with pytest.raises(StepweaveError, match="disk"):
            await context.state.trace.compare_and_set("k", 1, 2)

    run(test)


def test_the_operations_of_an_update(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        await context.state.update(
            "g",
            "k",
            [
                {"op": "set", "path": "lines.0.sku", "value": "A"},
                {"type": "remove", "path": ["a.b", 1]},
                {"op": "merge", "value": {"x": 1}},
            ],
        )
        await context.state.update("g", "k", {"op": "append", "path": "", "value": 1}, expect=None)
        assert peer.asked[0][1]["ops"] == [
            {"op": "set", "path": ["lines", 0, "sku"], "value": ["json", b'"A"']},
            {"op": "remove", "path": ["a.b", 1]},
            {"op": "merge", "path": [], "value": ["json", b'{"x":1}']},
        ]
        assert peer.asked[1][1]["ops"] == [{"op": "append", "path": [], "value": ["json", b"1"]}]
        assert peer.asked[1][1]["expect"] is None
        with pytest.raises(TypeError, match="takes operations such as"):
            context.state.update("g", "k", ["set"])

    run(test)


def test_a_group_is_a_list_that_knows_its_keys(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        peer.results["state.list"] = [["a", payload({"n": 1})], ["b", payload(0)]]
        for call in (context.state.get_group, context.state.getGroup, context.state.list):
            group = await call("orders")
            assert group == [{"n": 1}, 0] and len(group) == 2 and group[1] == 0
            assert list(group.keys()) == ["a", "b"]
            assert list(group.values()) == [{"n": 1}, 0]
            assert dict(group.items()) == {"a": {"n": 1}, "b": 0} == dict(group)
            assert group["b"] == 0 and group.get("c") is None and "a" in group
            assert group[0:1] == [{"n": 1}]
        peer.results["state.list"] = []
        assert not await context.state.get_group("none")

    run(test)


def test_a_map_from_the_state_reads_as_in_motia_too(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        peer.results["state.get"] = payload({"n": 1})
        result = await context.state.get("g", "k")
        assert result["data"] == {"n": 1} and result == {"n": 1} and "data" not in result
        assert result.get("data") == {"n": 1} and result.get("n") == 1
        assert result.get("x") is None and result.get("x", 5) == 5
        with pytest.raises(KeyError):
            result["other"]
        await context.state.set("g", "k", result)
        assert peer.asked[-1][1]["value"] == ["json", b'{"n":1}']
        peer.results["state.get"] = payload({"data": 2})
        inner = await context.state.get("g", "k")
        assert inner["data"] == 2 and inner.get("data") == 2

    run(test)


def test_streams_are_reached_by_any_name(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        peer.results["stream.get"] = payload({"id": "1", "text": "hi"})
        marked = {
            "id": "1",
            "text": "hi",
            "__motia": {
                "type": "state-stream",
                "streamName": "items",
                "groupId": "g",
                "id": "1",
            },
        }
        assert await context.streams.items.get("g", "1") == marked
        assert await context.streams["items"].get("g", 1) == marked
        await context.streams.get.set("g", "1", marked)
        assert peer.asked[-1][1]["stream"] == "get"
        assert value(peer.asked[-1][1]["data"]) == {"id": "1", "text": "hi"}
        peer.results["stream.list"] = [["1", payload({"id": "1"})], ["2", payload([2])]]
        group = await context.streams.board.get_group("g")
        assert [item["__motia"]["id"] for item in group[:1]] == ["1"] and group["2"] == [2]
        await context.streams.board.update("g", "1", [{"op": "remove", "path": "text"}])
        assert await context.streams.board.delete("g", "1") is None

    run(test)


def test_events_are_sent_to_a_stream(run: Run) -> None:
    async def test(context: Context, peer: Any) -> None:
        board = context.streams.board
        await board.send({"groupId": "g", "id": 1}, {"type": "typing", "data": {"by": "ann"}})
        await board.send("g", {"type": "ping"})
        assert [params for _, params in peer.asked] == [
            {
                "scope": 7,
                "stream": "board",
                "group": "g",
                "id": "1",
                "event": {"type": "typing", "data": ["json", b'{"by":"ann"}']},
            },
            {"scope": 7, "stream": "board", "group": "g", "event": {"type": "ping", "data": None}},
        ]
        with pytest.raises(TypeError, match=r"stream\.send needs"):
            board.send("g", {"data": 1})

    run(test)
