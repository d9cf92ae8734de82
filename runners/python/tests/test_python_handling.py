"""Handlers at work in a real child process: side by side, cancelled, reloaded, printing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runners.python.tests.harness import Refused, Runner, payload, value

Start = Callable[..., Runner]


GATES = """
    config = {"type": "event", "name": "Gates"}
    async def handler(gate, context):
        context.logger.info(f"at {gate}")
        opened = await context.state.get("gates", gate)
        print("through", gate)
        await context.emit("gate.done", {"gate": gate})
        return [gate, opened]
"""


def test_handlers_run_side_by_side_each_in_its_scope(start: Start) -> None:
    runner = start({"a.step.py": GATES})
    runner.serve = lambda method, params: ... if method == "state.get" else {"event": "e"}
    ids = {f"g{n}": runner.send_event("a.step.py", f"g{n}") for n in range(40)}
    runner.until(lambda: len(runner.asked) == 40)

    runner.release(["json", b"true"])

    for gate, id in ids.items():
        assert value(runner.wait(id)) == [gate, True]
        emitted = [params for method, params in runner.asked if method == "emit"]
        assert [value(p["data"])["gate"] for p in emitted if p["scope"] == id] == [gate]
        assert runner.messages(scope=id) == [f"at {gate}", f"through {gate}"]


def test_what_a_handler_said_arrives_before_its_answer(start: Start) -> None:
    for kind in ("async def", "def"):
        runner = start(
            {
                "a.step.py": f"""
                    config = {{"type": "event"}}
                    {kind} handler(data, context):
                        context.emit("one")
                        print("two", end="")
                        context.emit("three")
                """
            }
        )
        id = runner.send_event("a.step.py")
        runner.wait(id)
        runner.until(lambda runner=runner: len(runner.order) >= 5)  # type: ignore[misc]
        said = runner.order[runner.order.index(("call", "emit")) :]
        assert said == [("call", "emit"), ("call", "emit"), ("log", "two"), ("answer", id)]


def test_calls_that_are_not_awaited_go_out_before_the_answer_through_a_small_window(
    start: Start,
) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                async def handler(n, context):
                    for i in range(n):
                        context.emit("burst", i)
                    return n
            """
        },
        window=3,
    )

    id = runner.send_event("a.step.py", 50)

    assert value(runner.wait(id)) == 50
    emitted = [value(params["data"]) for method, params in runner.asked]
    assert emitted == list(range(50))
    assert runner.order[-1] == ("answer", id)


def test_an_emit_that_fails_unawaited_is_a_warning_in_its_scope(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                async def handler(data, context):
                    context.emit("refused")
                    await context.state.get("g", "k")
                    await context.state.get("g", "k")
            """
        }
    )

    def serve(method: str, params: dict[str, Any]) -> Any:
        if method == "emit":
            raise Refused({"code": "not_declared", "message": "not in emits"})
        return None

    runner.serve = serve
    runner.event("a.step.py")

    runner.until(lambda: bool(runner.messages(level="warn")))
    assert runner.messages(level="warn") == ["emit was not awaited and failed: not in emits"]


def test_a_task_of_a_handler_that_fails_alone_is_told(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import asyncio
                async def fails():
                    raise ValueError("nobody awaits me")
                async def handler(data, context):
                    asyncio.create_task(fails())
                    await asyncio.sleep(0)
            """
        }
    )

    runner.event("a.step.py")

    runner.until(
        lambda: (
            any("nobody awaits me" in line for line in runner.lines)
            or any("nobody awaits me" in str(record) for record in runner.logs)
        )
    )


def test_handlers_without_async_run_in_threads_side_by_side(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import threading
                barrier = threading.Barrier(20)
                def handler(n, context):
                    barrier.wait()      # passes only if all twenty are here at once
                    context.emit("done", n)
                    got = context.state.get("g", "k")
                    print("thread", n)
                    return [n, got]
            """
        }
    )
    runner.state["g", "k"] = payload("v")

    ids = [runner.send_event("a.step.py", n) for n in range(20)]

    for n, id in enumerate(ids):
        assert value(runner.wait(id)) == [n, "v"]
        assert runner.messages(scope=id) == [f"thread {n}"]


def test_a_plain_handler_may_give_an_awaitable(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import functools
                def logged(function):
                    @functools.wraps(function)
                    def wrapper(*args):
                        return function(*args)
                    return wrapper
                @logged
                async def handler(data, context):
                    await context.emit("x")
                    return data
            """
        }
    )

    assert runner.event("a.step.py", 5) == 5


def test_an_async_handler_may_work_in_threads_with_its_context(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import asyncio
                def work(context):
                    print("in a thread")
                    return context.state.get("g", "k")
                async def handler(data, context):
                    return await asyncio.to_thread(work, context)
            """
        }
    )
    runner.state["g", "k"] = payload(3)

    assert runner.event("a.step.py") == 3
    assert runner.messages()[-1:] == ["in a thread"]


def test_a_handler_has_a_current_task_from_its_first_line(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import asyncio
                async def handler(data, context):
                    task = asyncio.current_task()
                    await asyncio.wait_for(context.state.get("g", "k"), 60)
                    return task is asyncio.current_task() and task is not None
            """
        }
    )

    assert runner.event("a.step.py") is True


def test_a_kept_context_fails_once_the_handler_has_finished(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                kept = []
                async def handler(do, context):
                    if do == "keep":
                        kept.append(context)
                        return
                    try:
                        await kept[0].emit("late")
                    except Exception as error:
                        return str(error)
            """
        }
    )
    runner.event("a.step.py", "keep")

    assert "its handler has finished" in runner.event("a.step.py", "use")
    assert runner.asked == []


def test_middleware_goes_around_an_api_handler(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                async def outer(req, context, next_fn):
                    context["user"] = "ann"
                    response = await next_fn()
                    return {**response, "headers": {"x-outer": "yes"}}
                def inner(req, context, next_fn):
                    if "stop" in req["queryParams"]:
                        return {"status": 403, "body": {"stopped": True}}
                    print("passed")
                    return next_fn()
                config = {"type": "api", "middleware": [outer, inner]}
                async def handler(req, context):
                    return {"status": 200, "body": {"user": context.user}}
            """
        }
    )

    passed = runner.api("a.step.py")
    stopped = runner.api("a.step.py", query={"stop": "1"})

    assert (passed["status"], value(passed["body"])) == (200, {"user": "ann"})
    assert passed["headers"] == stopped["headers"] == {"x-outer": "yes"}
    assert stopped["status"] == 403
    assert runner.messages() == ["passed"]


def test_an_edit_reaches_the_steps_that_import_the_file(start: Start, write: Any) -> None:
    runner = start(
        {
            "steps/a.step.py": """
                from services.greeting import text
                config = {"type": "event"}
                async def handler(data, context):
                    if data == "wait":
                        await context.state.get("g", "k")
                    return text()
            """,
            "steps/b.step.py": "config = {'type': 'event'}\n",
            "services/greeting.py": "from .words import word\ndef text():\n    return word\n",
            "services/words.py": "word = 'hello'\n",
        }
    )
    runner.serve = runner.hold
    running = runner.send_event("steps/a.step.py", "wait")
    assert runner.event("steps/a.step.py") == "hello"

    for n in range(20):
        write({"services/words.py": f"word = {n}\n"})
        changed = runner.request("changed", {"paths": [str(runner.root / "services/words.py")]})
        assert changed == {"steps": ["steps/a.step.py"], "restart": False}
        runner.load("steps/a.step.py")
        assert runner.event("steps/a.step.py") == n
    runner.request("unload", {"step": "steps/a.step.py", "revision": 1})
    runner.release()

    assert value(runner.wait(running)) == "hello"


def test_a_group_of_the_state_serves_both_ways_of_reading(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                async def handler(data, context):
                    await context["state"].set("orders", "1", {"n": 1})
                    orders = await context["state"].get_group("orders")
                    return [list(orders), list(orders.values()), dict(orders.items())]
            """
        }
    )

    assert runner.event("a.step.py") == [[{"n": 1}], [{"n": 1}], {"1": {"n": 1}}]


def test_values_with_bytes_go_both_ways(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                async def handler(data, context):
                    await context.state.set("g", "raw", data)
                    await context.state.set("g", "map", {"raw": data})
                    return await context.state.get("g", "map")
            """
        }
    )

    assert runner.event("a.step.py", b"\x00\xff") == {"raw": b"\x00\xff"}
    assert runner.state["g", "raw"] == ["bytes", b"\x00\xff"]


def test_the_folder_of_the_project_is_where_it_works(start: Start) -> None:
    runner = start(
        {
            "a.step.py": "config = {'type': 'event'}\nimport os\n"
            "async def handler(d, c):\n    return [os.getcwd(), open('data.json').read()]\n",
            "data.json": json.dumps({}),
        }
    )

    where, data = runner.event("a.step.py")

    assert (Path(where).resolve(), data) == (runner.root.resolve(), "{}")
