"""Requests, responses and notifications over a connection that only remembers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from runners.python.tests import vectors
from stepweave_runner import msgpack
from stepweave_runner.codec import Codec
from stepweave_runner.errors import ProtocolError, StepweaveError
from stepweave_runner.frames import Oversized
from stepweave_runner.peer import Peer

CODEC = Codec("pure", msgpack.packb, msgpack.unpackb)
INVALID = json.loads((vectors.FOLDER / "frames.json").read_text(encoding="utf-8"))["invalid"]


class Line:
    """A connection whose frames stay in `sent`."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.queued = 0
        self.held_up = 0

    def hold_up(self) -> None:
        self.held_up += 1

    def send(self, frame: bytes) -> None:
        self.sent.append(msgpack.unpackb(frame[4:]))

    def post(self, function: Any, *args: Any) -> None:
        function(*args)


class Caller:
    """Asks, and keeps the answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[Any, Any]] = []
        self.queued = 0
        self.closed = False

    def settle(self, error: Any, result: Any) -> None:
        self.answers.append((error, result))

    def sent(self) -> None:
        self.queued -= 1


def connect(requests: Any = None, notifications: Any = None) -> tuple[Peer, Line]:
    loop = asyncio.new_event_loop()
    loop.close()
    peer = Peer(loop, CODEC, requests or {}, notifications or {})
    line: Any = Line()
    peer.connection = line
    return peer, line


def test_a_request_is_served_with_its_id() -> None:
    served = []
    peer, line = connect({"ping": lambda id, params: served.append((id, params))})

    peer.receive([0, 5, "ping", {"a": 1}])
    peer.respond(5, {"ok": True})

    assert served == [(5, {"a": 1})]
    assert line.sent == [[1, 5, None, {"ok": True}]]


def test_an_unknown_request_is_answered_and_an_unknown_notification_ignored() -> None:
    peer, line = connect()

    peer.receive([0, 1, "dance", {}])
    peer.receive([2, "dance", {}])

    ((_, id, error, _),) = line.sent
    assert (id, error["code"]) == (1, "unknown_method")
    assert "dance" in error["message"]


def test_a_refusal_keeps_its_code_and_a_fault_is_internal() -> None:
    def refuse(id: int, params: dict[str, Any]) -> None:
        raise StepweaveError("unknown_step", "no such step")

    def fail(id: int, params: dict[str, Any]) -> None:
        raise RuntimeError("a bug")

    peer, line = connect({"refuse": refuse, "fail": fail})

    peer.receive([0, 1, "refuse", {}])
    peer.receive([0, 2, "fail", {}])

    assert line.sent[0][2] == {"code": "unknown_step", "message": "no such step"}
    assert (line.sent[1][2]["code"], line.sent[1][2]["message"]) == ("internal", "a bug")


@pytest.mark.parametrize(
    "entry",
    [entry for entry in INVALID if entry["error"] == "shape"],
    ids=lambda entry: str(entry["name"]),
)
def test_another_shape_is_a_protocol_error(entry: dict[str, Any]) -> None:
    peer, _ = connect()

    with pytest.raises(ProtocolError, match="protocol_error"):
        peer.receive(msgpack.unpackb(bytes.fromhex(entry["hex"])[4:]))


def test_requests_wait_for_room_in_the_window_and_keep_their_order() -> None:
    peer, line = connect()
    peer.window = 2
    callers = [Caller() for _ in range(4)]

    for n, caller in enumerate(callers):
        peer.request("emit", {"n": n}, caller, caller)
    assert [frame[3]["n"] for frame in line.sent] == [0, 1]
    assert [caller.queued for caller in callers] == [0, 0, 1, 1]

    peer.receive([1, line.sent[1][1], None, "second"])
    assert [frame[3]["n"] for frame in line.sent] == [0, 1, 2]
    peer.receive([1, line.sent[0][1], {"code": "busy", "message": ""}, None])

    assert [frame[3]["n"] for frame in line.sent] == [0, 1, 2, 3]
    assert [caller.queued for caller in callers] == [0, 0, 0, 0]
    assert callers[1].answers == [(None, "second")]
    assert callers[0].answers == [({"code": "busy", "message": ""}, None)]


def test_what_waits_for_a_handler_that_has_ended_is_not_sent() -> None:
    peer, line = connect()
    peer.window = 1
    first, ended, last = Caller(), Caller(), Caller()
    for caller in (first, ended, last):
        peer.request("emit", {}, caller, caller)
    ended.closed = True

    peer.receive([1, 0, None, None])

    assert [frame[1] for frame in line.sent] == [0, 1]
    assert ended.answers[0][0]["code"] == "cancelled"
    assert (ended.queued, last.queued) == (0, 0)


def test_ids_of_open_requests_are_not_given_again() -> None:
    peer, line = connect()
    caller = Caller()
    peer.request("a", {}, caller, caller)
    peer._next_id = (1 << 32) - 1

    for _ in range(2):
        peer.request("b", {}, caller, caller)

    assert [frame[1] for frame in line.sent] == [0, (1 << 32) - 1, 1]


def test_an_answer_that_nobody_waits_for_is_ignored() -> None:
    peer, line = connect()

    peer.receive([1, 99, None, None])

    assert line.sent == []


def test_a_frame_over_the_limit_of_the_other_side_fails_here() -> None:
    peer, line = connect()
    peer.max_frame = 200
    caller = Caller()

    peer.request("emit", {"pad": "x" * 300}, caller, caller)
    peer.respond(3, "x" * 300)
    peer.refuse(4, {"code": "handler_failed", "message": "m", "trace": "x" * 300})

    assert caller.answers[0][0]["code"] == "too_large"
    assert [(frame[1], frame[2]["code"]) for frame in line.sent] == [
        (3, "too_large"),
        (4, "handler_failed"),
    ]


@pytest.mark.parametrize("result", [{"x-name": "half \ud800"}, {"status": 1 << 70}, object()])
def test_a_result_that_msgpack_cannot_hold_is_answered_all_the_same(result: Any) -> None:
    peer, line = connect()

    peer.respond(3, result)

    assert (line.sent[0][1], line.sent[0][2]["code"]) == (3, "invalid_payload")


@pytest.mark.parametrize("params", [{"topic": "half \ud800"}, {"delay_ms": 1 << 70}])
def test_a_request_that_msgpack_cannot_hold_fails_here(params: dict[str, Any]) -> None:
    peer, line = connect()
    caller = Caller()

    peer.request("emit", params, caller, caller)

    assert caller.answers[0][0]["code"] == "invalid_params"
    assert line.sent == []


def test_a_skipped_frame_is_answered_or_logged() -> None:
    peer, line = connect()

    peer.receive(Oversized(10**9, 8))
    peer.receive(Oversized(10**9, None))

    assert line.sent[0][:2] == [1, 8] and line.sent[0][2]["code"] == "too_large"
    assert line.sent[1][1] == "log" and "skipped" in line.sent[1][2]["message"]


def test_with_a_long_queue_debug_records_are_dropped_first_and_counted() -> None:
    peer, line = connect()

    for queued in (1_000, 1_001, 6_000, 30_000):
        line.queued = queued
        for level in ("debug", "info", "warn", "error"):
            peer.log({"level": level, "message": f"{level} at {queued}"})

    kept = [frame[2]["message"] for frame in line.sent]
    assert kept == [
        *(f"{level} at 1000" for level in ("debug", "info", "warn", "error")),
        *(f"{level} at 1001" for level in ("info", "warn", "error")),
        *(f"{level} at 6000" for level in ("warn", "error")),
        "error at 30000",
    ]
    assert sum(frame[2].get("dropped", 0) for frame in line.sent) == 1 + 2 + 3
    assert line.held_up == 3 * 4


def test_a_record_that_is_too_long_is_cut_and_one_that_utf8_cannot_hold_escaped() -> None:
    peer, line = connect()
    peer.max_frame = 100_000

    peer.log({"level": "info", "message": "x" * 200_000})
    peer.log({"level": "info", "message": "half \ud800"})

    assert line.sent[0][2]["message"].startswith("xxx") and "cut" in line.sent[0][2]["message"]
    assert line.sent[1][2]["message"] == "half \\ud800"
