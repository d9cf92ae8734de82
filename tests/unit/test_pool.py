"""A pool of children: what becomes of calls when a child dies, sticks or breaks the protocol."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepweave.calls import Outcome
from stepweave.errors import LoadFailed, RunnerUnavailable
from tests.unit.pool_kit import ECHOED, Bench

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await made.pool.start()
    yield made
    await made.pool.stop(0.1)


async def test_many_calls_run_at_once_in_one_child(bench: Bench) -> None:
    outcomes = await asyncio.gather(*(bench.outcome("echo") for _ in range(300)))
    assert outcomes == [ECHOED] * 300
    assert len(bench.pool.children) == 1


async def test_a_child_that_dies_ends_its_calls_with_its_last_words_and_is_replaced(
    bench: Bench,
) -> None:
    _, hanging = bench.call("hang")
    died = await bench.outcome("die")
    assert died.status == "lost" and (await hanging).status == "lost"
    assert died.error is not None
    assert "left with exit code 3" in died.error["message"]
    assert "these are my last words" in died.error["message"]
    assert await bench.outcome("echo") == ECHOED
    assert bench.pool.restarts == 1


async def test_a_killed_child_is_replaced_and_calls_wait_for_the_new_one(bench: Bench) -> None:
    (child,) = bench.pool.children
    _, lost = bench.call("hang")
    await asyncio.sleep(0)
    child.kill()
    await child.exited.wait()
    assert "killed by SIGKILL" in ((await lost).error or {})["message"]
    assert await bench.outcome("echo") == ECHOED


async def test_a_child_is_gone_although_what_it_started_holds_its_pipes(bench: Bench) -> None:
    (child,) = bench.pool.children
    lost = await bench.outcome("heir")
    assert "left with exit code 3" in (lost.error or {})["message"]
    assert await bench.outcome("echo") == ECHOED
    os.killpg(child.pid, signal.SIGKILL)


@pytest.mark.parametrize("fault", ["garbage", "wrong_shape", "twice"])
async def test_a_child_that_breaks_the_protocol_is_replaced_with_one_line_that_shows_it(
    bench: Bench, fault: str
) -> None:
    (child,) = bench.pool.children
    await bench.outcome(fault)
    async with asyncio.timeout(60):
        await child.exited.wait()
    assert await bench.outcome("echo") == ECHOED
    told = [line for line in bench.services.lines if "broke the protocol" in line]
    assert len(told) == 1


async def test_a_call_past_its_deadline_is_cancelled_and_ends_as_timeout(bench: Bench) -> None:
    outcome = await bench.outcome("hang", deadline=0.02)
    assert outcome.status == "timeout"
    assert await bench.outcome("echo") == ECHOED
    assert bench.pool.restarts == 0


async def test_a_child_that_will_not_stop_is_replaced() -> None:
    bench = Bench(cancel_grace_s=0.05)
    await bench.pool.start()
    (before,) = bench.pool.children
    outcome = await bench.outcome("stuck", deadline=0.02)
    assert outcome.status == "timeout"
    assert "did not stop within" in (outcome.error or {})["message"]
    assert await bench.outcome("echo") == ECHOED
    async with asyncio.timeout(60):
        await before.exited.wait()
    await bench.pool.stop(0.1)


async def test_a_waiting_call_can_be_cancelled(bench: Bench) -> None:
    bench.pool.children[0].window = 1
    first, running = bench.call("hang")
    waiting_call, waiting = bench.call("echo")
    bench.pool.cancel(waiting_call, "client")
    assert (await waiting).status == "cancelled"
    bench.pool.cancel(first, "client")
    assert (await running).status == "cancelled"


async def test_a_waiting_call_that_another_ended_is_not_run(bench: Bench) -> None:
    (child,) = bench.pool.children
    child.window = 1
    first, running = bench.call("hang")
    waiting, ended = bench.call("echo")
    waiting.finish(Outcome("cancelled"))
    bench.pool.cancel(first, "client")
    await running
    assert await bench.outcome("echo") == ECHOED
    assert (await ended).status == "cancelled" and child.served == 2


async def test_calls_over_the_window_wait_their_turn(bench: Bench) -> None:
    bench.pool.children[0].window = 2
    outcomes = await asyncio.gather(*(bench.outcome("echo") for _ in range(20)))
    assert outcomes == [ECHOED] * 20


async def test_of_the_calls_that_wait_the_highest_priority_goes_first(bench: Bench) -> None:
    bench.pool.children[0].window = 1
    order: list[int] = []

    async def run(priority: int) -> None:
        await bench.outcome("echo", priority=priority)
        order.append(priority)

    first, held = bench.call("hang")
    async with asyncio.TaskGroup() as runs:
        for priority in (0, -1, 5, 0, 7):
            runs.create_task(run(priority))
        await asyncio.sleep(0)
        bench.pool.cancel(first, "client")
    assert (await held).status == "cancelled"
    assert order == [7, 5, 0, 0, -1]


async def test_a_suspect_runs_in_a_child_of_its_own(bench: Bench) -> None:
    (own,) = bench.pool.children
    _, neighbour = bench.call("hang")
    died = await bench.outcome("die", suspect=2)
    assert died.status == "lost"
    assert own in bench.pool.children and not neighbour.done()
    assert await bench.outcome("echo", suspect=1) == ECHOED


async def test_suspects_that_come_while_their_child_ends_are_run(bench: Bench) -> None:
    for turn in range(12):
        assert await bench.outcome("echo", suspect=1 + turn % 2) == ECHOED
        await asyncio.sleep(0.005 * turn)


async def test_a_slow_suspect_does_not_hold_up_others_that_saw_one_death(bench: Bench) -> None:
    slow, hanging = bench.call("hang", suspect=1)
    for _ in range(20):
        assert await bench.outcome("echo", suspect=1) == ECHOED
    assert not hanging.done()
    bench.pool.cancel(slow, "client")
    assert (await hanging).status == "cancelled"
    assert await bench.outcome("echo", suspect=2) == ECHOED


async def test_the_time_of_a_suspect_begins_with_its_turn(bench: Bench) -> None:
    _, first = bench.call("hang", deadline=1, suspect=2)
    _, second = bench.call("echo", deadline=1, suspect=2)
    assert (await first).status == "timeout"
    assert await second == ECHOED


async def test_steps_are_loaded_and_a_refused_one_names_its_place(bench: Bench) -> None:
    loaded = await bench.pool.load("steps/echo.step.py", Path("/x/echo"), 7)
    assert loaded.config == ("json", b'{"revision": 7}')
    with pytest.raises(LoadFailed) as caught:
        await bench.pool.load("steps/broken.step.py", Path("/x/broken"), 1)
    assert caught.value.wire["data"]["line"] == 3


async def test_a_file_that_kills_its_runner_is_reported_and_the_rest_stays_loaded(
    bench: Bench,
) -> None:
    await bench.pool.load("steps/echo.step.py", Path("/x/echo"), 1)
    with pytest.raises(LoadFailed, match="left with exit code 4, while it loaded this file"):
        await bench.pool.load("steps/suicide.step.py", Path("/x/s"), 1)
    await bench.pool.load("steps/echo.step.py", Path("/x/echo"), 2)
    assert bench.pool.statistics()["steps"] == ["steps/echo.step.py"]


async def test_a_file_that_never_ends_loading_is_given_up_with_its_stuck_runner(
    bench: Bench,
) -> None:
    (child,) = bench.pool.children
    bench.pool.launch.start_timeout_s = 0.2
    with pytest.raises(LoadFailed, match=r"stuck for 0\.2 s, while it loaded this file"):
        await bench.pool.load("steps/endless.step.py", Path("/x/endless"), 1)
    bench.pool.launch.start_timeout_s = 30
    await bench.pool.load("steps/echo.step.py", Path("/x/echo"), 1)
    assert child not in bench.pool.children and bench.pool.handles == ["steps/echo.step.py"]


async def test_a_file_that_alone_does_not_end_loading_leaves_its_runner_be(bench: Bench) -> None:
    (child,) = bench.pool.children
    bench.pool.launch.start_timeout_s = 0.2
    with pytest.raises(LoadFailed, match=r"did not load within 0\.2 s"):
        await bench.pool.load("steps/unanswered.step.py", Path("/x/unanswered"), 1)
    assert bench.pool.children == [child]
    assert await bench.outcome("echo") == ECHOED


async def test_a_new_child_gets_what_is_loaded_while_it_starts(bench: Bench) -> None:
    await bench.pool.load("steps/echo.step.py", Path("/x/echo"), 1)
    bench.pool.children[0].kill()
    loading = [bench.pool.load(f"steps/e{n}.step.py", Path("/x/e"), 1) for n in range(5)]
    await asyncio.gather(*loading, return_exceptions=True)
    loaded = await bench.pool.load("steps/echo.step.py", Path("/x/echo"), 2)
    assert loaded.config == ("json", b'{"revision": 2}')
    assert await bench.outcome("echo") == ECHOED


async def test_a_swap_to_new_children_loses_no_call(bench: Bench) -> None:
    (before,) = bench.pool.children
    results = [bench.call("echo")[1] for _ in range(50)]
    await bench.pool.replace_all()
    results += [bench.call("echo")[1] for _ in range(50)]
    assert [await each for each in results] == [ECHOED] * 100
    async with asyncio.timeout(60):
        await before.exited.wait()
    assert before.returncode == 0


async def test_a_runner_that_cannot_start_says_why() -> None:
    bench = Bench("exit")
    with pytest.raises(RunnerUnavailable, match=r"left with exit code 1 .* cannot find module zod"):
        await bench.pool.start()
    assert bench.pool.status == "unavailable"
    assert (await bench.outcome("echo")).status == "lost"


async def test_a_runner_of_another_version_is_refused() -> None:
    with pytest.raises(RunnerUnavailable, match="speaks protocol 9"):
        await Bench("old").pool.start()


async def test_a_silent_runner_is_given_up() -> None:
    with pytest.raises(RunnerUnavailable, match="did not answer initialize within 1 s"):
        await Bench("silent").pool.start()


async def test_a_very_long_line_of_stderr_is_cut(bench: Bench) -> None:
    assert (await bench.outcome("loud")).status == "ok"
    async with asyncio.timeout(60):
        while sum(map(len, bench.services.lines)) < 1_000_000:
            await asyncio.sleep(0.005)
    assert max(map(len, bench.services.lines)) < 400_000


async def test_calls_spread_over_several_children() -> None:
    bench = Bench(processes=3)
    await bench.pool.start()
    futures = [bench.call("hang") for _ in range(9)]
    await asyncio.sleep(0)
    assert [len(child.calls) for child in bench.pool.children] == [3, 3, 3]
    for call, _ in futures:
        bench.pool.cancel(call, "client")
    assert [(await future).status for _, future in futures] == ["cancelled"] * 9
    await bench.pool.stop(0.1)


async def test_stopping_ends_what_waits_and_what_runs_without_blaming_it(bench: Bench) -> None:
    bench.pool.children[0].window = 1
    _, running = bench.call("hang")
    _, waiting = bench.call("echo")
    await bench.pool.stop(0.05)
    for outcome in (await waiting, await running):
        assert (outcome.error or {})["code"] == "shutting_down"
