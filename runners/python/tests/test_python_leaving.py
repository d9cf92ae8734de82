"""How the process ends, and what cannot end it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from runners.python.tests.harness import Refused, Runner, value

Start = Callable[..., Runner]

WAITS = """
    config = {"type": "event"}
    async def handler(data, context):
        return await context.state.get("g", "k")
"""


@pytest.mark.parametrize("data", [b"hello, this was printed\n", b"\x00\x00\x00\x01\xc1"])
def test_what_is_no_frame_ends_the_runner_with_a_line_on_stderr(data: bytes, start: Start) -> None:
    runner = start({})

    # A long "length" would be waited for: the text is followed by as much as it announces.
    runner.write_raw(data if data[0] == 0 else b"\x00\x00\x00\x05" + data)
    code = runner.process.wait()

    runner.until(lambda: any("protocol_error" in line for line in runner.lines))
    assert code != 0


def test_at_the_end_of_its_input_the_runner_leaves_whatever_runs(start: Start) -> None:
    runner = start(
        {
            "a.step.py": "config = {'type': 'event'}\nimport time\n"
            "def handler(d, c):\n    c.emit('started')\n    time.sleep(1000)\n",
        }
    )
    runner.send_event("a.step.py")
    runner.until(lambda: bool(runner.asked))

    assert runner.stop_input() == 0


def test_a_handler_that_holds_the_loop_does_not_outlive_the_orchestrator(start: Start) -> None:
    runner = start(
        {
            "a.step.py": "config = {'type': 'event'}\nimport os\n"
            "async def handler(d, c):\n    os.write(1, b'held\\n')\n    while True: pass\n",
        }
    )
    runner.send_event("a.step.py")
    runner.until(lambda: "held" in runner.lines)

    assert runner.stop_input() == 0


def test_shutdown_waits_for_what_runs_and_takes_nothing_new(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import atexit
                atexit.register(lambda: print("goodbye"))
                async def handler(d, context):
                    return await context.state.get("g", "k")
            """
        }
    )
    runner.serve = runner.hold
    running = runner.send_event("a.step.py")
    runner.until(lambda: bool(runner.asked))

    stopping = runner.send("shutdown", {"grace_ms": 1_000_000})
    with pytest.raises(Refused) as refused:
        runner.event("a.step.py")
    assert refused.value.code == "shutting_down"
    assert not runner.answered(stopping)
    runner.release(["json", b"7"])

    assert runner.wait(stopping) is None
    assert value(runner.wait(running)) == 7
    assert runner.stop_input() == 0
    runner.until(lambda: "goodbye" in runner.lines)


def test_what_is_run_at_the_exit_may_use_a_loop(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import asyncio, atexit
                async def close(what):
                    await asyncio.sleep(0)
                    print(what, "is closed")
                loops = []
                atexit.register(lambda: asyncio.run(close("its own")))
                atexit.register(lambda: loops[0].run_until_complete(close("the same")))
                async def handler(d):
                    loops.append(asyncio.get_running_loop())
            """
        }
    )
    runner.event("a.step.py")

    assert runner.request("shutdown", {"grace_ms": 1_000_000}) is None
    assert runner.stop_input() == 0
    runner.until(lambda: "its own is closed" in runner.lines)
    assert "the same is closed" in runner.lines


def test_past_its_grace_shutdown_cancels_what_runs(start: Start) -> None:
    runner = start(
        {
            "a.step.py": "config = {'type': 'event'}\nimport asyncio\n"
            "async def handler(d, c):\n    c.emit('started')\n    await asyncio.sleep(1000)\n",
        }
    )
    running = runner.send_event("a.step.py")
    runner.until(lambda: bool(runner.asked))

    assert runner.request("shutdown", {"grace_ms": 100}) is None
    with pytest.raises(Refused, match="shutdown") as refused:
        runner.wait(running)
    assert refused.value.code == "cancelled"


def test_leaving_a_handler_by_sys_exit_ends_the_process_with_that_code(start: Start) -> None:
    for kind in ("async def", "def"):
        runner = start(
            {
                "a.step.py": f"""
                    config = {{"type": "event"}}
                    import sys
                    {kind} handler(code, context):
                        print("last words")
                        sys.exit(code)
                """
            }
        )
        runner.send_event("a.step.py", 7)
        assert runner.process.wait() == 7
        runner.until(lambda runner=runner: "last words" in runner.messages())  # type: ignore[misc]


def test_an_interrupt_from_the_terminal_leaves_the_runner_alone(start: Start) -> None:
    step = "config = {'type': 'event'}\nasync def handler(data):\n    return data\n"
    runner = start({"a.step.py": step})

    os.kill(runner.process.pid, signal.SIGINT)

    assert runner.event("a.step.py", 1) == 1


def test_a_killed_runner_leaves_no_answer(start: Start) -> None:
    runner = start({"a.step.py": WAITS})
    runner.serve = runner.hold
    id = runner.send_event("a.step.py", "g")
    runner.until(lambda: bool(runner.asked))

    os.kill(runner.process.pid, signal.SIGKILL)

    with pytest.raises(EOFError):
        runner.wait(id)
