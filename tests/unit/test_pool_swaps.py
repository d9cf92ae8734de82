"""New children in place of old ones: what still runs in the old, what dies among the new."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from stepweave.errors import RunnerUnavailable
from stepweave.runners.child import Child
from tests.unit.pool_kit import ECHOED, Bench

pytestmark = pytest.mark.anyio


async def test_an_old_child_that_keeps_several_calls_for_ever_is_ended() -> None:
    bench = Bench(cancel_grace_s=0.1)
    await bench.pool.start()
    (old,) = bench.pool.children
    _, first = bench.call("stuck", deadline=60)
    _, second = bench.call("stuck", deadline=60)
    await bench.pool.replace_all()
    for call in old.calls.values():
        call.deadline = asyncio.get_running_loop().time()
    async with asyncio.timeout(60):
        assert [(await first).status, (await second).status] == ["lost", "lost"]
        await old.exited.wait()
    assert await bench.outcome("echo") == ECHOED
    assert len(bench.pool.children) == 1
    await bench.pool.stop(0.1)


async def test_a_new_child_that_dies_before_the_swap_leaves_the_old_ones_and_no_other() -> None:
    bench = Bench(processes=2)
    await bench.pool.start()
    old = list(bench.pool.children)
    loading = asyncio.create_task(bench.pool.load("steps/patient.step.py", Path("/x/patient"), 1))
    for child in old:
        await _let_load(bench, child)
    await loading

    swap = asyncio.create_task(bench.pool.replace_all())
    (first,) = await _coming(bench, 1)
    await _let_load(bench, first)
    second = next(child for child in await _coming(bench, 2) if child is not first)
    await bench.until(lambda: second.loading)
    first.kill()
    await first.exited.wait()
    await _let_load(bench, second)
    with pytest.raises(RunnerUnavailable, match="killed by SIGKILL"):
        await swap
    async with asyncio.timeout(60):
        await second.exited.wait()
    assert bench.pool.children == old
    await bench.pool.stop(0.1)


async def test_a_step_that_a_new_child_does_not_load_is_tried_again(tmp_path: Path) -> None:
    bench = Bench(restart_base_s=0.01)
    await bench.pool.start()
    file = tmp_path / "echo.flaky.json"
    file.write_text("{}")
    await bench.pool.load("steps/echo.flaky.py", file, 1)
    file.unlink()
    bench.pool.children[0].kill()
    await bench.until(lambda: any("cannot be loaded again" in said for said in bench.notices))
    await bench.until(lambda: bench.pool.status == "ready")
    (child,) = bench.pool.children
    assert not child.has("steps/echo.flaky.py", 1)

    file.write_text("{}")
    await bench.until(lambda: "steps/echo.flaky.py is loaded again" in bench.notices)
    assert child.has("steps/echo.flaky.py", 1) and bench.pool.children == [child]
    await bench.pool.stop(0.1)


async def _let_load(bench: Bench, child: Child) -> None:
    await bench.until(lambda: child.loading)
    os.kill(child.pid, signal.SIGUSR1)


async def _coming(bench: Bench, count: int) -> list[Child]:
    supervisor = bench.pool._supervisor
    await bench.until(lambda: len(supervisor.coming()) == count)
    return supervisor.coming()
