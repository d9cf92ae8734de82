"""Processes of runners: several for a language, watched, and replaced before they do harm."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.flows.processes import (
    ISOLATED,
    NAMES,
    PID,
    RUNNERS,
    SLOW,
    endpoint,
    event,
    own,
    pid,
    serving,
    shared,
)  # fmt: skip

pytestmark = pytest.mark.anyio

# Until there is a file called gate.
BLOCKS = {
    "typescript": """
  const { existsSync } = require('node:fs')
  while (!existsSync('gate'));
  return { status: 200, body: 'done' }""",
    "python": """
    import os, time
    while not os.path.exists('gate'): time.sleep(0.005)
    return {'status': 200, 'body': 'done'}""",
}


@pytest.mark.parametrize("language", NAMES)
async def test_processes_share_the_work_and_outlive_each_other(
    tmp_path: Path, language: str
) -> None:
    files = [
        endpoint(language, "plain", PID[language]),
        event(language, "slow", SLOW[language]),
    ]
    toml = f"[runners.{RUNNERS[language]}]\nprocesses = 3"
    async with serving(tmp_path, files, toml) as running:
        pool = shared(running, language)
        first = {child.pid for child in pool.children}
        assert len(first) == 3
        for child in pool.children:
            assert child._revisions.keys() == set(pool.handles) and len(pool.handles) == 2
        await asyncio.gather(*(running.emit(f"slow.{language}", {"id": str(n)}) for n in range(60)))
        await running.settled()
        assert set((await running.state("done")).values()) == first
        killed = pool.children[0].pid
        os.kill(killed, signal.SIGKILL)
        await running.until(lambda: killed not in {child.pid for child in pool.children})
        assert await pid(running, language, "plain") in first - {killed}
        await running.until(lambda: pool.restarts == 1, "a third process")
        assert pool.status == "ready"


@pytest.mark.parametrize("language", NAMES)
async def test_recycling_under_load_loses_nothing_and_answers_everything(
    tmp_path: Path, language: str
) -> None:
    files = [
        endpoint(language, "plain", PID[language]),
        event(language, "slow", SLOW[language]),
    ]
    async with serving(
        tmp_path, files, f"[runners.{RUNNERS[language]}]\nrecycle_calls = 20"
    ) as running:
        pool = shared(running, language)
        pool.health.recycling.pause_s = 0.0
        pids: list[int] = []
        sent = 0
        while len(set(pids)) < 3:
            for _ in range(10):
                await running.emit(f"slow.{language}", {"id": str(sent)})
                sent += 1
            pids += await asyncio.gather(*(pid(running, language, "plain") for _ in range(10)))
            await running.it.pools.watch.look()
        await running.settled()
        assert len(await running.state("done")) == sent
        assert await running.dead() == []
        assert pool.restarts == 0
        assert any("calls (recycle_calls is 20)" in message for message in running.messages)


@pytest.mark.parametrize("language", NAMES)
async def test_a_process_that_has_grown_is_recycled(tmp_path: Path, language: str) -> None:
    ram = ISOLATED[language].replace("isolate", "ram: 128, isolate", 1)
    if language == "python":
        ram = ISOLATED[language].replace('"isolate"', '"ram": 128, "isolate"')
    grow = {
        "typescript": "  (globalThis as any).kept = Buffer.alloc(200 << 20, 1)\n",
        "python": "    global kept; kept = b'x' * (200 << 20)\n",
        "ruby": "  $kept = 'x' * (200 << 20)\n",
    }
    files = [endpoint(language, "grows", grow[language] + PID[language], ram)]
    name = f"grows_{language}"
    async with serving(tmp_path, files) as running:
        grown = await pid(running, language, "grows")
        await running.it.pools.watch.look()
        (entry,) = own(running, name)
        (child,) = [each for each in entry["children"] if each["pid"] == grown]
        assert child["memory_bytes"] > 200 << 20
        await running.until(
            lambda: (
                [each["pid"] for each in own(running, name)[0]["children"]] != [grown]
                and not any(each["draining"] for each in own(running, name)[0]["children"])
            )
        )
        assert any("MB (the limit is 128)" in message for message in running.messages)
        assert await pid(running, language, "grows") != grown


@pytest.mark.parametrize("language", BLOCKS)
async def test_a_step_that_holds_up_its_process_is_named(tmp_path: Path, language: str) -> None:
    files = [endpoint(language, "blocks", BLOCKS[language])]
    async with serving(
        tmp_path, files, f"[runners.{RUNNERS[language]}]\nlag_warning_s = 0.1"
    ) as running:
        pool = shared(running, language)
        asking = asyncio.create_task(running.http.post(f"/{language}/blocks"))
        await running.until(lambda: pool.children[0].calls, "the call")
        await running.it.pools.watch.look()

        def said(words: str) -> list[str]:
            return [text for text in running.messages if words in text]

        await running.until(lambda: said("has not answered for 0.1 s"), "the warning")
        (warning,) = said("has not answered for 0.1 s")
        assert warning.endswith(f"it runs blocks_{language}")
        assert pool.statistics()["children"][0]["lag_ms"] > 100
        (tmp_path / "gate").touch()
        assert (await asking).text == "done"

        async def is_over() -> bool:
            await running.it.pools.watch.look()
            return bool(said("answers without delay again"))

        await running.until(is_over, "the end of the delay")
