"""Children that have served long enough or grown too large make room for new ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pool_kit import ECHOED, Bench

pytestmark = pytest.mark.anyio

LARGE = 65 << 20


@asynccontextmanager
async def started(**options: Any) -> AsyncIterator[Bench]:
    bench = Bench(**options)
    await bench.pool.start()
    yield bench
    await bench.pool.stop(0.1)


async def renewed(bench: Bench, memory: int = 0) -> None:
    """Look until there is a new child."""
    (before,) = bench.pool.children

    def look() -> bool:
        bench.pool.look({before.pid: memory})
        return any(child is not before for child in bench.pool.children)

    await bench.until(look)


async def test_a_child_leaves_after_its_calls_and_what_runs_in_it_finishes() -> None:
    async with started(recycle_calls=10) as bench:
        (before,) = bench.pool.children
        hanging, end = bench.call("hang")
        for _ in range(9):
            await bench.outcome("echo")
        bench.pool.look({})
        await bench.outcome("echo")
        await renewed(bench)
        assert await bench.outcome("echo") == ECHOED
        assert before.served == 10 and len(before.calls) == 1
        bench.pool.cancel(hanging, "client")
        assert (await end).status == "cancelled"
        await bench.until(lambda: before not in bench.pool.children)
        assert before.returncode == 0
        (notice,) = bench.notices
        assert f"(pid {before.pid}) is replaced: it served 10 calls" in notice
        assert bench.pool.restarts == 0


async def test_a_child_leaves_when_it_has_grown_too_large() -> None:
    async with started(recycle_mb=64) as bench:
        (before,) = bench.pool.children
        bench.pool.look({before.pid: 64 << 20})
        await renewed(bench, LARGE)
        assert "is replaced: it holds 65 MB (the limit is 64)" in bench.notices[0]


async def test_no_call_is_lost_while_children_are_replaced_under_load() -> None:
    async with started(recycle_calls=1, processes=2) as bench:
        bench.pool.health.recycling.pause_s = 0.0
        first = set(bench.pool.children)
        outcomes = []

        def look() -> bool:
            outcomes.extend(bench.call("echo")[1] for _ in range(20))
            bench.pool.look({})
            return not first & set(bench.pool.children)

        await bench.until(look)
        assert [await outcome for outcome in outcomes] == [ECHOED] * len(outcomes)


async def test_the_new_child_has_every_step_before_the_old_one_leaves() -> None:
    async with started(recycle_mb=64) as bench:
        for name in ("a", "b", "c"):
            await bench.pool.load(f"steps/{name}.step.py", Path(f"/x/{name}"), 1)
        await renewed(bench, LARGE)
        (new,) = [child for child in bench.pool.children if not child.draining]
        assert new._revisions == {f"steps/{name}.step.py": {1} for name in ("a", "b", "c")}


async def test_the_old_child_stays_when_no_new_one_can_be_started() -> None:
    async with started(recycle_mb=64) as bench:
        recycling = bench.pool.health.recycling
        recycling.pause_s = 0.001
        (before,) = bench.pool.children
        argv, bench.pool.launch.argv = bench.pool.launch.argv, ["/nowhere/runner"]

        def fail(times: int) -> bool:
            bench.pool.look({before.pid: LARGE})
            return len(bench.notices) >= times

        await bench.until(lambda: fail(2))
        assert "was to be replaced and stays" in bench.notices[0]
        assert "/nowhere/runner" in bench.notices[0]
        assert bench.pool.children == [before] and bench.pool.status == "ready"
        assert await bench.outcome("echo") == ECHOED
        bench.pool.launch.argv = argv
        await renewed(bench, LARGE)


async def test_a_leak_that_grows_quickly_does_not_keep_replacing() -> None:
    async with started(recycle_mb=64) as bench:
        await renewed(bench, LARGE)
        (child,) = [child for child in bench.pool.children if not child.draining]
        for _ in range(3):
            bench.pool.look({child.pid: LARGE})
            assert await bench.outcome("echo") == ECHOED
        assert not child.draining
        (warning,) = bench.notices[1:]
        assert "due again soon after its start: it holds 65 MB" in warning
        assert "every 10 s at most" in warning


async def test_a_child_that_dies_while_its_successor_starts_is_replaced_once() -> None:
    async with started(recycle_mb=64) as bench:
        (before,) = bench.pool.children
        bench.pool.look({before.pid: LARGE})
        await asyncio.sleep(0)
        before.kill()
        await before.exited.wait()
        assert await bench.outcome("echo") == ECHOED
        await bench.until(
            lambda: bench.pool.restarts == 1 and len(bench.pool._supervisor._alive) == 1
        )
        assert len(bench.pool.children) == 1
