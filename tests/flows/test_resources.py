"""Processes of runners: isolated steps, several for a language, replaced before they do harm."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stepweave.runners.pool import Pool
from tests.flows.harness import Running, start, write
from tests.flows.languages import LANGUAGES

pytestmark = pytest.mark.anyio

NAMES = ["typescript", "python", "ruby"]

PID = {
    "typescript": "  return { status: 200, body: String(process.pid) }",
    "python": "    import os; return {'status': 200, 'body': str(os.getpid())}",
    "ruby": "  { status: 200, body: Process.pid.to_s }",
}
SLOW = {
    "typescript": """
  await new Promise(r => setTimeout(r, 20)); await state.set('done', data.id, process.pid)""",
    "python": (
        "    import asyncio, os; await asyncio.sleep(0.02)\n"
        "    await state.set('done', data['id'], os.getpid())"
    ),
    "ruby": "  sleep 0.02; state.set('done', data['id'], Process.pid)",
}
BLOCKS = {
    "typescript": """
  const until = Date.now() + 400; while (Date.now() < until);
  return { status: 200, body: 'done' }""",
    "python": "    import time; time.sleep(0.4); return {'status': 200, 'body': 'done'}",
}
DIES = {
    "typescript": "  process.kill(process.pid, 'SIGKILL')",
    "python": "    import os; os.kill(os.getpid(), 9)",
    "ruby": "  Process.kill(:KILL, Process.pid)",
}
ISOLATED = {
    "typescript": "infrastructure: { handler: { isolate: true } },",
    "python": '"infrastructure": {"handler": {"isolate": True}},',
    "ruby": "infrastructure: { handler: { isolate: true } },",
}


def endpoint(language: str, name: str, body: str, more: str = "") -> dict[str, str]:
    spoken = LANGUAGES[language]
    text = spoken.api.format(
        name=f"{name}_{language}", path=f"/{language}/{name}", emits="", body=body
    )
    text = text.replace("emits:", f"{more} emits:").replace('"emits":', f'{more} "emits":')
    return {f"steps/{name}_{language}{spoken.suffix}": text}


def event(language: str, name: str, body: str, more: str = "") -> dict[str, str]:
    spoken = LANGUAGES[language]
    text = spoken.event.format(
        name=f"{name}_{language}", subscribes=f"'{name}.{language}'", more=more, body=body
    )
    return {f"steps/{name}_{language}{spoken.suffix}": text}


def shared(running: Running, language: str) -> Pool:
    return running.it.pools.pools["node" if language == "typescript" else language]


def own(running: Running, name: str) -> list[dict[str, Any]]:
    """What the status says of the pool that a step has for itself."""
    return [pool for pool in running.it.pools.statistics() if pool["step"] == name]


async def pid(running: Running, language: str, name: str) -> int:
    answer = await running.http.post(f"/{language}/{name}")
    assert answer.status_code == 200, answer.text
    return int(answer.text)


@asynccontextmanager
async def serving(
    root: Path, files: Iterable[dict[str, str]], toml: str = "", *, dev: bool = False
) -> AsyncIterator[Running]:
    write(root, {"stepweave.toml": toml})
    for each in files:
        write(root, each)
    async with start(root, mode="dev" if dev else "start") as running:
        errors = [p for p in running.it.registry.all_problems if p.severity == "error"]
        assert errors == []
        yield running


@pytest.mark.parametrize("language", NAMES)
async def test_an_isolated_step_has_a_process_that_it_alone_can_kill(
    tmp_path: Path, language: str
) -> None:
    files = [
        endpoint(language, "plain", PID[language]),
        endpoint(language, "apart", PID[language], ISOLATED[language]),
        endpoint(language, "dies", DIES[language], ISOLATED[language]),
        event(language, "slow", SLOW[language]),
    ]
    async with serving(tmp_path, files) as running:
        plain = await pid(running, language, "plain")
        (child,) = shared(running, language).children
        assert plain == child.pid
        apart = await pid(running, language, "apart")
        (entry,) = own(running, f"apart_{language}")
        assert [each["pid"] for each in entry["children"]] == [apart]
        assert apart != plain and entry["steps"] == [
            f"steps/apart_{language}" + LANGUAGES[language].suffix
        ]

        waiting = [running.emit(f"slow.{language}", {"id": str(n)}) for n in range(50)]
        await asyncio.gather(*waiting)
        dead = await running.http.post(f"/{language}/dies")
        assert dead.status_code == 503
        os.kill(apart, signal.SIGKILL)
        await running.until(lambda: own(running, f"apart_{language}")[0]["restarts"] == 1)
        assert await pid(running, language, "apart") not in (plain, apart)
        await running.settled()
        assert set((await running.state("done")).values()) == {plain}
        assert len(await running.state("done")) == 50
        assert await pid(running, language, "plain") == plain
        assert shared(running, language).restarts == 0
        assert any(f"runner of dies_{language} was killed by" in text for text in running.messages)


@pytest.mark.parametrize("language", NAMES)
async def test_retries_of_an_isolated_step_reach_nobody_else(tmp_path: Path, language: str) -> None:
    files = [
        endpoint(language, "plain", PID[language]),
        event(language, "dies", DIES[language], ISOLATED[language]),
        event(language, "slow", SLOW[language], ISOLATED[language]),
    ]
    async with serving(tmp_path, files, "[events]\nmax_retries = 2") as running:
        plain = await pid(running, language, "plain")
        await running.emit(f"dies.{language}", {})
        for number in range(20):
            await running.emit(f"slow.{language}", {"id": str(number)})
        await running.settled()
        (letter,) = await running.dead()
        assert letter.attempts == 3
        assert len(set((await running.state("done")).values())) == 1
        assert await pid(running, language, "plain") == plain


@pytest.mark.parametrize("language", NAMES)
async def test_an_edit_gives_a_step_a_process_and_takes_it_away(
    tmp_path: Path, language: str
) -> None:
    plain = endpoint(language, "step", PID[language])
    other = endpoint(language, "other", PID[language])
    apart = endpoint(language, "step", PID[language], ISOLATED[language])
    name = f"step_{language}"
    async with serving(tmp_path, [plain, other], dev=True) as running:
        before = await pid(running, language, "step")
        write(tmp_path, apart)
        await running.until(lambda: own(running, name), "a process of its own")
        await running.until(
            lambda: (
                name in running.it.registry.steps and running.it.registry.steps[name].revision == 2
            )
        )
        alone = await pid(running, language, "step")
        assert alone != before == await pid(running, language, "other")

        write(tmp_path, plain)
        await running.until(lambda: not own(running, name), "the end of its process")
        assert await pid(running, language, "step") == before

        write(tmp_path, apart)
        await running.until(lambda: own(running, name), "a process of its own again")
        (path,) = apart
        (tmp_path / path).unlink()
        await running.until(lambda: not running.it.pools._own.pools, "the end of its process")
        assert await pid(running, language, "other") == before


async def test_an_isolated_file_that_does_not_load_leaves_no_process(tmp_path: Path) -> None:
    broken = {"steps/broken.step.py": "isolate = None; isolate = 1\nraise ValueError('no')\n"}
    fine = endpoint("python", "fine", PID["python"])
    write(tmp_path, {**broken, **fine})
    async with start(tmp_path) as running:
        assert await pid(running, "python", "fine")
        await running.until(lambda: not running.it.pools._own.pools, "no process")


async def test_a_config_that_hides_its_isolation_is_followed(tmp_path: Path) -> None:
    files = {
        "steps/hidden.step.py": """
            import os
            options = {"".join(["iso", "late"]): True}
            config = {"type": "api", "name": "hidden", "method": "POST", "path": "/python/hidden",
                      "infrastructure": {"handler": options}}
            async def handler(request, context):
                return {"status": 200, "body": str(os.getpid())}
        """,
        "steps/seeming.step.py": """
            import os
            # isolate: true
            config = {"type": "api", "name": "seeming", "method": "POST",
                      "path": "/python/seeming"}
            async def handler(request, context):
                return {"status": 200, "body": str(os.getpid())}
        """,
    }
    async with serving(tmp_path, [files]) as running:
        (child,) = shared(running, "python").children
        assert await pid(running, "python", "seeming") == child.pid
        assert await pid(running, "python", "hidden") != child.pid
        await running.until(lambda: len(running.it.pools.statistics()) == 2)


@pytest.mark.parametrize("language", NAMES)
async def test_processes_share_the_work_and_outlive_each_other(
    tmp_path: Path, language: str
) -> None:
    runner = "node" if language == "typescript" else language
    files = [
        endpoint(language, "plain", PID[language]),
        event(language, "slow", SLOW[language]),
    ]
    async with serving(tmp_path, files, f"[runners.{runner}]\nprocesses = 3") as running:
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
    runner = "node" if language == "typescript" else language
    files = [
        endpoint(language, "plain", PID[language]),
        event(language, "slow", SLOW[language]),
    ]
    async with serving(tmp_path, files, f"[runners.{runner}]\nrecycle_calls = 20") as running:
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
    runner = "node" if language == "typescript" else language
    files = [endpoint(language, "blocks", BLOCKS[language])]
    async with serving(tmp_path, files, f"[runners.{runner}]\nlag_warning_s = 0.1") as running:
        pool = shared(running, language)
        asking = asyncio.create_task(running.http.post(f"/{language}/blocks"))
        await running.until(lambda: pool.children[0].calls, "the call")
        await running.it.pools.watch.look()
        assert (await asking).text == "done"
        await running.until(lambda: pool.statistics()["children"][0]["lag_ms"] is not None)
        (warning,) = [text for text in running.messages if "has not answered for 0.1 s" in text]
        assert warning.endswith(f"it runs blocks_{language}")
        await running.until(lambda: not pool.children[0].peer.open_requests)
        await running.it.pools.watch.look()
        await running.until(
            lambda: any("answers without delay again" in text for text in running.messages)
        )
