"""Handlers that print, fork and spawn, in a real child process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from runners.python.tests.harness import Runner, value

Start = Callable[..., Runner]


PRINTS = """
    config = {"type": "event"}
    import hashlib, logging, os, subprocess, sys
    logging.basicConfig(level=logging.INFO)
    async def handler(data, context):
        n, blob = data["n"], data["blob"]
        print("print", n)
        sys.stdout.buffer.write(f"buffer {n}\\n".encode())
        sys.__stdout__.write(f"original {n}\\n")
        sys.stderr.write(f"stderr {n}\\n")
        logging.info("logging %d", n)
        os.write(1, f"descriptor {n}\\n".encode())
        if n % 50 == 0:
            subprocess.run(["echo", f"child {n}"], check=True)
        await context.state.set("g", str(n), blob)
        return {"n": n, "sum": hashlib.sha256(blob.encode()).hexdigest(), "blob": blob}
"""


SIZES = (0, 100, 5_000, 70_000, 1_000_000)


def test_four_hundred_calls_that_print_in_every_way_lose_nothing(start: Start) -> None:
    runner = start({"a.step.py": PRINTS})
    blobs = ["žluť"[n % 4] * (SIZES[n % len(SIZES)] // (1 + n % 3)) for n in range(400)]
    open_: list[tuple[int, int]] = []

    def check() -> None:
        n, id = open_.pop(0)
        result = value(runner.wait(id))
        assert result["n"] == n and result["blob"] == blobs[n]
        assert result["sum"] == hashlib.sha256(blobs[n].encode()).hexdigest()
        assert value(runner.state.pop(("g", str(n)))) == blobs[n]
        said = {(record["source"], record["level"]): [] for record in runner.logs}  # type: ignore[var-annotated]
        for record in runner.logs:
            if record.get("scope") == id:
                said[record["source"], record["level"]].append(record["message"])
        assert said["stdout", "info"] == [f"print {n}", f"buffer {n}", f"original {n}"]
        assert said["stderr", "warn"] == [f"stderr {n}"]
        assert said["logger", "info"] == [f"logging {n}"]

    for n in range(400):
        open_.append((n, runner.send_event("a.step.py", {"n": n, "blob": blobs[n]})))
        if len(open_) > 16:
            check()
    while open_:
        check()

    expected = {f"descriptor {n}" for n in range(400)} | {f"child {n}" for n in range(0, 400, 50)}
    runner.until(lambda: expected <= set(runner.lines))
    assert runner.request("ping", {}) == {}


def test_printing_while_loading_and_in_threads_of_nobody_goes_to_stderr(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                print("loading")
                import threading
                config = {"type": "event"}
                async def handler(data, context):
                    thread = threading.Thread(target=print, args=("nobody's",))
                    thread.start()
                    thread.join()
            """
        }
    )

    runner.event("a.step.py")

    runner.until(lambda: {"loading", "nobody's"} <= set(runner.lines))
    assert runner.logs == []


def test_processes_that_a_step_forks_and_spawns_leave_the_wire_alone(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import multiprocessing, os
                from services.work import double
                def handler(data, context):
                    results = []
                    for method in ("fork", "spawn"):
                        with multiprocessing.get_context(method).Pool(1) as pool:
                            results += pool.map(double, [data])
                    return results
            """,
            "services/work.py": "def double(n):\n    print('working')\n    return 2 * n\n",
        }
    )

    assert runner.event("a.step.py", 4) == [8, 8]
    runner.until(lambda: runner.lines.count("working") == 2)
    assert runner.messages() == []
