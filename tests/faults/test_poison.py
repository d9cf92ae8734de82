"""Runners die, of what they run or for no reason: the fault finds its owner, nobody else pays."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.server import ledger
from tests.faults.steps import NAMES, events, project
from tests.flows.harness import Running, start

pytestmark = pytest.mark.anyio

POOLS = {"typescript": "node", "javascript": "node", "python": "python", "ruby": "ruby"}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with start(tmp_path, project(), STEPWEAVE_EVENTS_BACKOFF_BASE_S="0.2") as it:
        assert it.it.registry.all_problems == ()
        yield it


def count(running: Running, what: str) -> int:
    """One of the totals of the bus: delivered, buried."""
    total: int = running.it.bus.statistics()[what]
    return total


async def emit(running: Running, *sent: dict[str, object]) -> None:
    await asyncio.gather(*(running.emit(f"note.{event['to']}", event) for event in sent))


@pytest.mark.parametrize("language", NAMES)
async def test_an_event_that_kills_its_runner_is_buried_after_its_tries_and_spares_the_others(
    running: Running, tmp_path: Path, language: str
) -> None:
    poison = {"id": "poison", "to": language, "die": True}
    neighbours = [{"id": f"n{n}", "to": language, "pause": 30} for n in range(200)]
    other = "python" if language != "python" else "ruby"
    apart = [{"id": f"o{n}", "to": other} for n in range(50)]
    await emit(running, *neighbours[:100], poison, *neighbours[100:], *apart)
    await running.until(lambda: count(running, "buried") == 1, "the burial")
    seen = ledger(tmp_path)
    assert seen["poison"] == 4  # its step allows three retries
    assert {event["id"] for event in (*neighbours, *apart)} <= seen.keys()
    assert all(seen[event["id"]] == 1 for event in apart)
    await running.settled()
    (letter,) = await running.dead()
    assert (letter.topic, letter.attempts, letter.reason) == (f"note.{language}", 4, "lost")
    assert "SIGKILL" in letter.errors
    assert count(running, "delivered") == 250


async def test_several_poisonous_events_are_told_apart(running: Running, tmp_path: Path) -> None:
    poison = [{"id": f"p{n}", "to": "python", "die": True} for n in range(3)]
    neighbours = [{"id": f"n{n}", "to": "python", "pause": 20} for n in range(60)]
    await emit(running, *neighbours[:30], *poison, *neighbours[30:])
    await running.settled()
    seen = ledger(tmp_path)
    # A try may end before its turn, when another of them kills the runner that they share.
    assert all(2 <= seen[event["id"]] <= 4 for event in poison)
    assert {event["id"] for event in neighbours} <= seen.keys()
    assert {letter.attempts for letter in await running.dead()} == {4}
    assert count(running, "delivered") == 60


async def test_a_poisonous_event_that_is_redriven_stays_harmless(
    running: Running, tmp_path: Path
) -> None:
    await emit(running, {"id": "poison", "to": "ruby", "die": True})
    await running.until(lambda: count(running, "buried") == 1, "the burial")
    (letter,) = await running.dead()
    done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    running.it.bus.redrive(letter.id, lambda error, event: done.set_result(error or event))
    assert isinstance(await done, str)
    await running.until(lambda: count(running, "buried") == 2, "the second burial")
    assert ledger(tmp_path)["poison"] == 8
    await emit(running, {"id": "fine", "to": "ruby"})
    await running.settled()
    assert ledger(tmp_path)["fine"] == 1


async def test_runners_killed_again_and_again_while_events_flow_lose_none(
    running: Running, tmp_path: Path
) -> None:
    dice = random.Random(7)
    sent = events(400, pause=20)
    sending = asyncio.create_task(emit(running, *sent))
    pools = list(running.it.pools.pools.values())
    for kill in range(9):
        pool = pools[kill % len(pools)]
        enough = len(ledger(tmp_path)) + dice.randrange(5, 25)
        await running.until(
            lambda enough=enough: len(ledger(tmp_path)) >= min(enough, 400), "some events"
        )
        for child in pool.children:
            os.kill(child.pid, signal.SIGKILL)
    await sending
    await running.settled()
    assert set(ledger(tmp_path)) == {event["id"] for event in sent}
    assert await running.dead() == []


async def test_every_process_killed_at_once_comes_back(running: Running, tmp_path: Path) -> None:
    sent = events(200, pause=50)
    await emit(running, *sent)
    await running.until(lambda: len(ledger(tmp_path)) > 20, "some events")
    for pool in running.it.pools.pools.values():
        for child in pool.children:
            os.kill(child.pid, signal.SIGKILL)
    await running.settled()
    assert set(ledger(tmp_path)) == {event["id"] for event in sent}
    assert await running.dead() == []


async def test_requests_wait_for_a_runner_that_comes_back(running: Running) -> None:
    (child,) = running.it.pools.pools["python"].children
    os.kill(child.pid, signal.SIGKILL)
    await child.exited.wait()
    answers = await asyncio.gather(*(running.http.post("/spread", json=[]) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [202] * 20


async def test_a_runner_that_cannot_start_again_refuses_requests_and_keeps_events(
    running: Running, tmp_path: Path
) -> None:
    pool = running.it.pools.pools["python"]
    argv, pool.launch.argv = pool.launch.argv, ["/nowhere/python"]
    os.kill(pool.children[0].pid, signal.SIGKILL)
    await running.until(lambda: pool.status == "unavailable", "the end of hope")
    answer = await running.http.post("/spread", json=[])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    await emit(running, {"id": "kept", "to": "python"}, {"id": "other", "to": "ruby"})
    await running.until(lambda: "other" in ledger(tmp_path), "the other language")
    assert "kept" not in ledger(tmp_path)
    pool.launch.argv = argv
    await running.settled()
    assert ledger(tmp_path) == {"kept": 1, "other": 1}
    assert await running.dead() == []
    assert (await running.http.post("/spread", json=[])).status_code == 202


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_neighbours_of_poison_are_spared_however_few_tries_they_have(
    tmp_path: Path, retries: int
) -> None:
    more = {"STEPWEAVE_EVENTS_MAX_RETRIES": str(retries), "STEPWEAVE_EVENTS_BACKOFF_BASE_S": "0.2"}
    async with start(tmp_path, project(), **more) as running:
        poison = {"id": "poison", "to": "python", "die": True}
        neighbours = [{"id": f"n{n}", "to": "python", "pause": 30} for n in range(40)]
        await emit(running, *neighbours[:20], poison, *neighbours[20:])
        await running.settled()
        seen = ledger(tmp_path)
        assert {event["id"] for event in neighbours} <= seen.keys()
        # Its first death may not have been its fault, so it always gets a second try.
        assert seen["poison"] == max(2, retries + 1)
        assert [letter.attempts for letter in await running.dead()] == [max(2, retries + 1)]
        assert count(running, "delivered") == 40
