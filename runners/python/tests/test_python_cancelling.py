"""Handlers that are cancelled, in a real child process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runners.python.tests.harness import TRACE, Refused, Runner, value
from stepweave_runner import frames, msgpack

Start = Callable[..., Runner]


def test_a_cancelled_handler_takes_along_what_waits_for_the_window(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                async def handler(n, context):
                    for i in range(n):
                        context.emit("burst", i)
            """
        },
        window=2,
    )
    runner.serve = runner.hold
    id = runner.send_event("a.step.py", 10)
    runner.until(lambda: len(runner.asked) == 2)

    runner.notify("cancel", {"id": id, "reason": "timeout"})
    with pytest.raises(Refused, match="cancelled"):
        runner.wait(id)
    runner.release({"event": "e"})

    assert runner.request("ping", {}) == {}
    assert len(runner.asked) == 2
    runner.serve = runner.answer
    runner.event("a.step.py", 3)
    assert len(runner.asked) == 5


CANCELLED = {
    "awaits": ("async def", "await asyncio.sleep(1000)"),
    "awaits a call": ("async def", "await context.state.get('g', 'k')"),
    "loops": ("def", "forever()"),
    "waits for a call": ("def", "context.state.get('g', 'k')"),
    "tries a call again and again": ("def", "insist(context)"),
}


@pytest.mark.parametrize("how", CANCELLED)
def test_a_cancelled_handler_ends_and_is_answered_once(how: str, start: Start) -> None:
    kind, body = CANCELLED[how]
    seen = ["for timeout"] if kind == "async def" else []
    runner = start(
        {
            "a.step.py": f"""
                config = {{"type": "event"}}
                import asyncio
                {kind} handler(data, context):
                    print("started")
                    try:
                        {body}
                    except asyncio.CancelledError as error:
                        print("for", error)
                        raise
                    finally:
                        print("cleaned up")
                def forever():
                    while True:
                        pass
                def insist(context):
                    while True:
                        try:
                            context.state.get("g", "k")
                        except Exception:
                            pass
            """
        }
    )
    runner.serve = runner.hold
    id = runner.send_event("a.step.py")
    runner.until(lambda: runner.messages() == ["started"])

    for cancelled in (id, id, 12345):
        runner.notify("cancel", {"id": cancelled, "reason": "timeout"})

    with pytest.raises(Refused, match=r"a\.step\.py was cancelled \(timeout\)") as refused:
        runner.wait(id)
    assert refused.value.code == "cancelled"
    assert runner.messages() == ["started", *seen, "cleaned up"]
    assert runner.request("ping", {}) == {}


def test_a_handler_that_is_cancelled_before_it_begins_is_answered(start: Start) -> None:
    for kind in ("async def", "def"):
        step = f"config = {{'type': 'event'}}\n{kind} handler(data, context):\n    pass\n"
        runner = start({"a.step.py": step})
        invoke = {"step": "a.step.py", "revision": 1, "kind": "event", "attempt": 1}
        given = {"topic": "t", "data": None, "event": "e"}
        frames_ = [
            [0, 100, "invoke", {**invoke, "input": given, "trace": TRACE}],
            [2, "cancel", {"id": 100, "reason": "client"}],
        ]

        runner.write_raw(b"".join(frames.frame(msgpack.packb(frame)) for frame in frames_))

        runner.until(lambda runner=runner: runner.answered(100))  # type: ignore[misc]
        assert runner.request("ping", {}) == {}


def test_a_result_that_is_quicker_than_its_cancel_is_the_answer(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import asyncio
                async def handler(data, context):
                    context.emit("started")
                    try:
                        await asyncio.sleep(1000)
                    except asyncio.CancelledError:
                        return "whole"
            """
        }
    )
    id = runner.send_event("a.step.py")
    runner.until(lambda: bool(runner.asked))

    runner.notify("cancel", {"id": id, "reason": "client"})

    assert value(runner.wait(id)) == "whole"
