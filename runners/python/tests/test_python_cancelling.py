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
    "tries a call on the loop again and again": ("async def", "await insist_async(context)"),
}


@pytest.mark.parametrize("how", CANCELLED)
def test_a_cancelled_handler_ends_and_is_answered_once(how: str, start: Start) -> None:
    kind, body = CANCELLED[how]
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
                async def insist_async(context):
                    while True:
                        try:
                            await context.state.get("g", "k")
                        except Exception:
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
    assert runner.messages() == ["started", "for timeout", "cleaned up"]
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


STUBBORN = {
    "in C": ("def", "time.sleep(3600)"),
    "on the loop": ("async def", "await insist()"),
    "behind middleware": ("def", "time.sleep(3600)"),
}
STUBBORN_STEP = """
    import asyncio, threading, time
    config = {{"type": "{type}"{middleware}}}
    begun = []
    {kind} handler(given, context):
        begun.append(context)
        context.logger.info("started")
        {body}
    async def insist():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
"""


def stubborn(how: str) -> str:
    kind, body = STUBBORN[how]
    behind = how == "behind middleware"
    middleware = ', "middleware": [lambda req, ctx, next_fn: next_fn()]' if behind else ""
    type = "api" if behind else "event"
    return STUBBORN_STEP.format(kind=kind, body=body, middleware=middleware, type=type)


@pytest.mark.parametrize("how", STUBBORN)
def test_a_handler_that_cannot_be_stopped_is_answered_all_the_same(how: str, start: Start) -> None:
    runner = start({"a.step.py": stubborn(how)})
    given = {"topic": "t", "data": None, "event": "e"}
    if how == "behind middleware":
        given = {"method": "GET", "path": "/", "params": {}, "query": {}, "headers": {}}
        given["body"] = None
    id = runner.invoke("a.step.py", "api" if "body" in given else "event", given)
    runner.until(lambda: runner.messages() == ["started"])

    runner.notify("cancel", {"id": id, "reason": "client"})

    with pytest.raises(Refused, match=r"cancelled \(client\)"):
        runner.wait(id)
    assert runner.request("ping", {}) == {}
    assert runner.asked == []


def test_a_loop_behind_middleware_is_interrupted_with_everything_around_it(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "api"}
                def outer(req, context, next_fn):
                    try:
                        return next_fn()
                    finally:
                        context.logger.info("outer left")
                async def inner(req, context, next_fn):
                    try:
                        return await next_fn()
                    finally:
                        context.logger.info("inner left")
                config["middleware"] = [outer, inner]
                def handler(req, context):
                    context.logger.info("started")
                    try:
                        while True:
                            pass
                    finally:
                        context.logger.info("handler left")
            """
        }
    )
    given = {"method": "GET", "path": "/", "params": {}, "query": {}, "headers": {}, "body": None}
    id = runner.invoke("a.step.py", "api", given)
    runner.until(lambda: runner.messages() == ["started"])

    runner.notify("cancel", {"id": id, "reason": "client"})

    with pytest.raises(Refused, match=r"cancelled \(client\)"):
        runner.wait(id)
    left = {"handler left", "inner left", "outer left"}
    runner.until(lambda: set(runner.messages()) >= left)


def test_too_many_handlers_that_go_on_keep_the_next_cancel_unanswered(start: Start) -> None:
    runner = start({"a.step.py": stubborn("on the loop")})
    ids = [runner.send_event("a.step.py") for _ in range(17)]
    runner.until(lambda: len(runner.messages()) == 17)

    for id in ids:
        runner.notify("cancel", {"id": id, "reason": "timeout"})

    runner.until(lambda: sum(map(runner.answered, ids)) == 16)
    assert runner.request("ping", {}) == {}
    assert not runner.answered(ids[-1])


def test_cancels_that_cross_answers_hit_nobody_else(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                def handler(n, context):
                    for _ in range(n % 7 * 100):
                        pass
                    return n
            """,
            "b.step.py": """
                config = {"type": "event"}
                def handler(n, context):
                    return context.state.set("g", "k", n)
            """,
        }
    )
    for number in range(300):
        ids = [runner.send_event(f"{step}.step.py", number) for step in "aba"]
        cancelled = ids[number % 3]
        runner.notify("cancel", {"id": cancelled, "reason": "client"})
        for id in ids:
            try:
                assert value(runner.wait(id)) == number
            except Refused as refused:
                assert (id, refused.code) == (cancelled, "cancelled")
    assert runner.lines == []


def test_a_shutdown_does_not_wait_for_a_handler_that_cannot_be_stopped(start: Start) -> None:
    runner = start({"a.step.py": stubborn("in C")})
    id = runner.send_event("a.step.py")
    runner.until(lambda: runner.messages() == ["started"])

    assert runner.request("shutdown", {"grace_ms": 100}) is None
    assert runner.answered(id)
    with pytest.raises(Refused, match=r"cancelled \(shutdown\)"):
        runner.wait(id)
    assert runner.stop_input() == 0
