"""The clock jumps by hours while work goes on: nothing is lost, repeated or forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stepweave import payload
from stepweave.calls import now_ms
from stepweave.engine.store.operations import StateSet
from tests.faults.book import Book
from tests.flows.harness import Running, start

pytestmark = pytest.mark.anyio

HOUR_NS = 3_600_000_000_000
JUMPS = {"forward": 5 * HOUR_NS, "back": -5 * HOUR_NS}

NOTE = """
import asyncio, os
def note(kind, id, attempt):
    file = os.open("book", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{kind} {id} {attempt}\\n".encode())
    os.close(file)
async def handler(data, context):
    note("b", data["id"], context.attempt)
    if data.get("fails") and context.attempt == 1:
        raise ValueError("not yet")
    while data.get("gate") and os.path.exists("gate"):
        await asyncio.sleep(0.01)
    note("e", data["id"], context.attempt)
"""
RETRIES = (
    '"queue": {"type": "%s", "maxRetries": 2, "backoff": {"type": "fixed", "baseSeconds": 0.3}}'
)
PROJECT = {
    "steps/loose.step.py": NOTE
    + 'config = {"type": "event", "name": "Loose", "subscribes": ["loose"],'
    + '"infrastructure": {%s}}' % (RETRIES % "standard"),
    "steps/ordered.step.py": NOTE
    + 'config = {"type": "event", "name": "Ordered", "subscribes": ["ordered"],'
    + '"infrastructure": {%s}}' % (RETRIES % "fifo"),
    "steps/tick.step.py": """
        config = {"type": "cron", "name": "Tick", "cron": "* * * * * *"}
        async def handler(context):
            pass
    """,
}

Jump = Callable[[int], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Sets the orchestrator's clock forward by so many ns."""
    real, off = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + off[0])
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)

    def by(ns: int) -> None:
        off[0] += ns

    return by


@pytest.mark.parametrize("ns", JUMPS.values(), ids=JUMPS)
async def test_retries_delays_and_order_outlive_a_jump_of_the_clock(
    tmp_path: Path, jump: Jump, ns: int
) -> None:
    book = Book(tmp_path)
    async with start(tmp_path, PROJECT) as running:
        await running.emit("loose", {"id": "again", "fails": True})
        for number in range(1, 6):
            await running.emit("ordered", {"id": f"g/{number}", "fails": number == 1}, group="g")
        await running.until(lambda: {"again", "g/1"} <= book.read().begun.keys(), "first tries")
        jump(ns)
        for number in range(6, 9):
            await running.emit("ordered", {"id": f"g/{number}"}, group="g")
        await running.emit("loose", {"id": "delayed"}, due_at=now_ms() + 300)
        await running.emit("loose", {"id": "prompt"})
        await running.settled()
        assert set(book.read().ended) == {"again", "delayed", "prompt"} | {
            f"g/{number}" for number in range(1, 9)
        }
        assert set(book.ended.values()) == {1}
        assert await running.dead() == []
    book.check_order()


@pytest.mark.parametrize("ns", JUMPS.values(), ids=JUMPS)
async def test_what_waits_over_restarts_and_a_jump_is_delivered_in_order(
    tmp_path: Path, jump: Jump, ns: int
) -> None:
    book = Book(tmp_path)
    (tmp_path / "gate").touch()
    async with start(tmp_path, PROJECT) as running:
        for number in range(1, 4):
            await running.emit("ordered", {"id": f"g/{number}", "gate": True}, group="g")
    jump(ns)
    async with start(tmp_path) as running:
        for number in range(4, 7):
            await running.emit("ordered", {"id": f"g/{number}", "gate": True}, group="g")
    (tmp_path / "gate").unlink()
    async with start(tmp_path) as running:
        await running.settled()
    ended = [line.id for line in book.read().lines if line.kind == "e"]
    assert ended == [f"g/{number}" for number in range(1, 7)]


async def test_no_tick_of_a_schedule_runs_twice_and_nothing_spins(
    tmp_path: Path, jump: Jump
) -> None:
    seen: dict[int, int] = {}

    def ran(running: Running) -> int:
        (job,) = running.it.cron.statistics()
        if job["last"] is not None:
            seen[job["runs"]] = job["last"]["at"]
        return int(job["runs"])

    async with start(tmp_path, PROJECT) as running:
        await running.until(lambda: ran(running) >= 1, "a tick")
        for ns in (5 * HOUR_NS, -10 * HOUR_NS):
            jump(ns)
            await running.emit("loose", {"id": f"after{ns}"})
            await running.settled()
            used = time.process_time()
            await asyncio.sleep(1.2)
            assert time.process_time() - used < 0.8
            if ns > 0:
                await running.until(lambda: ran(running) > 1, "a tick of the new time")
            ran(running)
    assert len(set(seen.values())) == len(seen)


async def test_a_value_with_a_time_to_live_follows_the_clock(tmp_path: Path, jump: Jump) -> None:
    async with start(tmp_path, PROJECT) as running:
        until = now_ms() + 3_600_000
        await running.it.store.apply((StateSet("g", "k", payload.encode(1), until),))
        jump(-5 * HOUR_NS)
        assert await running.state("g") == {"k": 1}
        jump(7 * HOUR_NS)
        assert await running.state("g") == {}
