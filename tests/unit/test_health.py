"""What is noticed about children while they run: memory, lag, silence."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stepweave.errors import LoadFailed
from stepweave.runners import memory
from stepweave.runners.watch import Watch
from tests.unit.pool_kit import ECHOED, Bench

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def started(**options: Any) -> AsyncIterator[Bench]:
    bench = Bench(**options)
    await bench.pool.start()
    yield bench
    await bench.pool.stop(0.1)


def figures(bench: Bench) -> dict[str, Any]:
    (child,) = bench.pool.statistics()["children"]
    return dict(child)


def told(bench: Bench, words: str) -> list[str]:
    return [notice for notice in bench.notices if words in notice]


async def test_a_look_tells_the_memory_and_the_lag_of_each_child() -> None:
    async with started() as bench:
        assert (figures(bench)["memory_bytes"], figures(bench)["lag_ms"]) == (None, None)
        await Watch(lambda: [bench.pool]).look()
        await bench.until(lambda: figures(bench)["lag_ms"] is not None)
        assert figures(bench)["memory_bytes"] > 1 << 20
        assert bench.notices == []


async def test_a_child_that_rests_is_left_in_peace() -> None:
    async with started() as bench:
        (child,) = bench.pool.children
        bench.pool.look({})
        assert child.peer.open_requests == 1
        await bench.until(lambda: not child.peer.open_requests)
        bench.pool.look({})
        assert child.peer.open_requests == 0
        await bench.outcome("echo")
        bench.pool.look({})
        assert child.peer.open_requests == 1


async def test_a_child_that_loads_files_is_not_asked_how_it_is() -> None:
    async with started() as bench:
        (child,) = bench.pool.children
        bench.pool.launch.start_timeout_s = 0.2
        path = Path("/x/unanswered")
        loading = asyncio.create_task(bench.pool.load("steps/unanswered.step.py", path, 1))
        await bench.until(lambda: child.peer.open_requests)
        bench.pool.look({})
        assert child.peer.open_requests == 1
        with pytest.raises(LoadFailed):
            await loading
        bench.pool.look({})
        assert child.peer.open_requests == 2


async def test_a_lag_is_told_once_with_the_steps_that_run_and_once_when_it_is_over() -> None:
    async with started(lag_warning_s=0.05) as bench:
        (child,) = bench.pool.children
        for _ in range(2):
            last = figures(bench)["lag_ms"] or 50
            _, outcome = bench.call("slow")
            bench.pool.look({})
            await bench.until(lambda: told(bench, "has not answered"))
            await bench.until(lambda last=last: figures(bench)["lag_ms"] > last)
            os.kill(child.pid, signal.SIGUSR1)
            assert await outcome == ECHOED
            await bench.until(lambda: not child.peer.open_requests)
            assert figures(bench)["lag_ms"] > 50
        (warning,) = told(bench, "has not answered for 0.05 s")
        assert warning.endswith("it runs slow") and str(figures(bench)["pid"]) in warning
        assert not told(bench, "without delay again")

        def is_over() -> bool:
            bench.pool.look({})
            return bool(told(bench, "without delay again"))

        await bench.until(is_over)
        assert len(bench.notices) == 2


async def test_a_lag_that_nobody_wants_to_hear_of_is_only_shown() -> None:
    async with started(lag_warning_s=0.0) as bench:
        (child,) = bench.pool.children
        _, outcome = bench.call("slow")
        bench.pool.look({})
        await bench.until(lambda: figures(bench)["lag_ms"] > 50)
        os.kill(child.pid, signal.SIGUSR1)
        assert await outcome == ECHOED
        assert bench.notices == []


async def test_a_silent_child_stays_unless_a_setting_says_otherwise() -> None:
    async with started(lag_warning_s=0.05) as bench:
        (before,) = bench.pool.children
        bench.call("stuck")
        bench.pool.look({})
        await bench.until(lambda: told(bench, "has not answered"))
        assert bench.pool.children == [before] and not before.draining
        before.kill()


async def test_a_child_that_is_silent_for_too_long_is_replaced() -> None:
    async with started(unresponsive_s=0.05) as bench:
        (before,) = bench.pool.children
        _, outcome = bench.call("stuck")
        bench.pool.look({})
        assert (await outcome).status == "lost"
        assert await bench.outcome("echo") == ECHOED
        assert before not in bench.pool.children
        assert told(bench, "has not answered for 0.05 s and is replaced")


def test_memory_is_known_with_and_without_proc(tmp_path: Path) -> None:
    gone = 2**22 + 1
    pids = [os.getpid(), gone]
    for found in (memory.resident(pids), memory.resident(pids, proc=tmp_path)):
        assert found.keys() == {os.getpid()}
        assert 1 << 20 < found[os.getpid()] < 1 << 40
    assert memory.resident([], proc=tmp_path) == {}
