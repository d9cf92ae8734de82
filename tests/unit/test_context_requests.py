"""Whatever a runner asks, each request gets one answer, and no value takes the pipe down."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st

from stepweave import logline
from stepweave.calls import Call
from stepweave.engine.bus import Bus, BusOptions
from stepweave.engine.invoker import Invoker
from stepweave.engine.state import State
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.engine.streams import Streams
from stepweave.logs import LogHub, Record
from stepweave.paint import Paint
from stepweave.records import Records
from stepweave.rpc import frame
from stepweave.runners.context import Context
from stepweave.trace import Span, new_trace_id
from tests.unit.engine_kit import FakeRunners, Spans, step

METHODS = (
    "emit",
    "event.cancel",
    *(f"state.{name}" for name in ("get", "set", "delete", "list", "clear", "update", "groups")),
    *(f"stream.{name}" for name in ("get", "set", "update", "delete", "list", "send")),
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
)
PAYLOADS = st.one_of(
    st.none(),
    st.tuples(st.sampled_from(["json", "msgpack", "text", "bytes", "xml"]), st.binary(max_size=9)),
    st.sampled_from([("json", text) for text in (b"1", b"[1]", b'{"a":{}}', b'"x"', b"null")]),
    st.just(("msgpack", b"\x81\xc4\x01x\x01")),
)
NAMES = st.sampled_from(["", "g", "board", "ä"])
PATHS = st.lists(st.one_of(NAMES, st.integers(-3, 3), ODD), max_size=4)
OPS = st.lists(
    st.one_of(
        ODD,
        st.fixed_dictionaries(
            {"op": st.sampled_from(["set", "merge", "increment", "append", "remove", "?"])},
            optional={"path": st.one_of(PATHS, ODD), "value": st.one_of(PAYLOADS, ODD)},
        ),
    ),
    max_size=3,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **{name: st.one_of(NAMES, ODD) for name in ("topic", "group", "key", "stream", "id", "after")},
    **{name: st.one_of(PAYLOADS, ODD) for name in ("data", "value", "expect", "fields")},
    **{
        name: ODD
        for name in (
            "delay_ms",
            "at",
            "priority",
            "limit",
            "ttl_ms",
            "message",
            "level",
            "source",
            "dropped",
        )
    },
    "ops": st.one_of(OPS, ODD),
    "event": st.one_of(
        ODD, st.fixed_dictionaries({"type": st.one_of(NAMES, ODD)}, optional={"data": PAYLOADS})
    ),
}
SCOPES = st.sampled_from([1, 1, 1, 1, 2, None, "1", [], {}, [1], 1.0, True])
PARAMS = st.fixed_dictionaries({"scope": SCOPES}, optional=FIELDS)


class Answers:
    """A peer that packs what it is given, as the real one does, and counts."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def respond(self, request_id: int, result: Any) -> None:
        frame.pack(result)
        self.ids.append(request_id)

    def refuse(self, request_id: int, code: str, message: str, **more: Any) -> None:
        frame.pack([code, message, more])
        self.ids.append(request_id)


class Lines:
    """A sink that writes each record in both forms."""

    def add_log(self, record: Record) -> None:
        logline.render(record, Paint(False))
        logline.render_json(record)


def sent(params: Mapping[str, Any]) -> dict[str, Any]:
    """The params as they arrive: packed and read again."""
    (value,) = frame.Decoder().feed(frame.pack(params))
    found: dict[str, Any] = value
    return found


@hypothesis.example([("emit", {"scope": 1, "topic": "a", "delay_ms": math.inf})])
@hypothesis.example([("state.set", {"scope": 1, "group": "a", "key": "b", "ttl_ms": math.nan})])
@hypothesis.example([("log", {"scope": {}, "at": 2**63})])
@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.lists(st.tuples(st.sampled_from((*METHODS, "log")), PARAMS), max_size=30))
def test_every_request_is_answered_once_whatever_it_holds(
    requests: list[tuple[str, dict[str, Any]]],
) -> None:
    asyncio.run(serve(requests))


async def serve(requests: list[tuple[str, dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder), "process")
        records = Records(LogHub(Lines()))
        invoker = Invoker(FakeRunners(), Spans(), store)
        bus = Bus(store, invoker, records.notice, BusOptions())
        context = Context(records)
        context.serve(bus, State(store), Streams(store, lambda name: name == "board"))
        found = step("one", emits=("a.b",))
        calls = {1: Call(found, "event", {}, Span(new_trace_id(), "one", "event", "python"), print)}
        handlers = context.requests(calls)
        answers = Answers()
        for number, (method, params) in enumerate(requests):
            if method == "log":
                context.log(calls, sent(params))
                answers.ids.append(number)
            else:
                handlers[method](answers, number, sent(params))  # type: ignore[arg-type]
        await store.apply(())
        assert sorted(answers.ids) == list(range(len(requests)))
        await store.close()
