"""Ids, the traceparent header, and the life of a span."""

from __future__ import annotations

import os
import re

import pytest

from stepweave import trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_ids_are_lower_case_hex_and_do_not_repeat() -> None:
    traces = {trace.new_trace_id() for _ in range(1000)}
    spans = {trace.new_span_id() for _ in range(1000)}

    assert len(traces) == len(spans) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in traces)
    assert all(re.fullmatch("[0-9a-f]{16}", id) for id in spans)


def test_a_forked_process_does_not_repeat_its_parents_ids() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, trace.new_trace_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as theirs:
        assert theirs.read() != trace.new_trace_id()


def test_a_traceparent_reads_back_as_it_was_written() -> None:
    for sampled in (True, False):
        text = trace.format_traceparent(TRACE, SPAN, sampled)
        assert trace.parse_traceparent(text) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        f"00-{TRACE}-{SPAN}-01",
        f"  00-{TRACE}-{SPAN}-01 ",
        f"00-{TRACE}-{SPAN}-ff",
        f"01-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-what-the-future-holds",
    ],
)
def test_a_well_formed_traceparent_is_taken_over(text: str) -> None:
    assert trace.parse_traceparent(text) == (TRACE, SPAN, True)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{'٣' * 32}-{SPAN}-01",
    ],
)
def test_a_broken_traceparent_is_ignored(text: str | None) -> None:
    assert trace.parse_traceparent(text) is None


def test_a_span_knows_its_wait_its_run_and_what_it_did() -> None:
    accepted = trace.now_us()
    span = trace.Span(TRACE, "Pay", "event", "ruby", parent_id=SPAN, queued_at=accepted)
    span.add("emit", "payment.processed", "e1", 20)
    span.finish(output=("json", b"1"))

    assert accepted == span.queued_at <= span.started_at <= span.events[0][0] <= span.ended_at
    assert span.events[0][1:] == ("emit", ("payment.processed", "e1", 20))
    assert (span.status, span.error, span.output) == ("ok", None, ("json", b"1"))


def test_a_span_that_did_not_wait_was_queued_when_it_started() -> None:
    span = trace.Span(TRACE, "Pay", "api", "node")

    assert span.queued_at == span.started_at
    assert span.status == "running"


def test_a_span_hands_itself_on_as_parent() -> None:
    span = trace.Span(TRACE, "Pay", "api", "node")

    assert trace.parse_traceparent(span.traceparent) == (TRACE, span.span_id, True)


def test_a_loop_cannot_grow_a_span_without_end() -> None:
    span = trace.Span(TRACE, "Pay", "api", "node")
    for number in range(trace.MAX_EVENTS + 3):
        span.add("log", "info", str(number))

    assert len(span.events) == trace.MAX_EVENTS
    assert span.dropped == 3
