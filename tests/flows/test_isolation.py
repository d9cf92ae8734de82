"""Isolated steps: a process of their own, which they alone can kill, hold up or fill."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepweave import reload
from tests.flows.edits import Endpoint
from tests.flows.harness import Running, start, write
from tests.flows.processes import (
    DIES,
    HANGS,
    ISOLATED,
    NAMES,
    PID,
    SLOW,
    endpoint,
    event,
    own,
    pid,
    serving,
    shared,
)  # fmt: skip

pytestmark = pytest.mark.anyio


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
        (file,) = endpoint(language, "apart", "")
        assert apart != plain and entry["steps"] == [file]

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
async def test_a_call_of_an_isolated_step_ends_with_its_time(tmp_path: Path, language: str) -> None:
    files = [
        endpoint(language, "hangs", HANGS[language], ISOLATED[language]),
        event(language, "waits", HANGS[language], ISOLATED[language]),
    ]
    async with serving(tmp_path, files, "[server]\nrequest_timeout_s = 0.3") as running:
        answer = await running.http.post(f"/{language}/hangs")
        assert answer.status_code == 504
        (entry,) = own(running, f"hangs_{language}")
        assert entry["restarts"] == 0 and len(entry["children"]) == 1
        await running.emit(f"waits.{language}", {})
        (pool,) = [each for each in running.it.pools.all if each.launch.step == f"waits_{language}"]
        await running.until(lambda: pool.children[0].calls, "the call")
    assert pool.status == "stopped"
    async with start(tmp_path) as running:
        await running.until(lambda: running.it.bus.waiting == 1, "the unfinished delivery")


class Isolated(Endpoint):
    """An endpoint whose step has a process of its own."""

    def files(self) -> dict[str, str]:
        """Both files as they are to be."""
        files = super().files()
        text = files[self.relpath]
        for emits in (", emits: []", ', "emits": []'):
            text = text.replace(emits, f"{emits}, {ISOLATED[self.language].rstrip(',')}")
        return {**files, self.relpath: text}


@pytest.fixture
async def editing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """A project in development mode with a step that is not isolated for each language."""
    monkeypatch.setattr(reload, "UNLOAD_AFTER_S", 0.2)
    for language in NAMES:
        write(tmp_path, endpoint(language, "other", PID[language]))
    async with start(tmp_path, mode="dev") as running:
        yield running


@pytest.mark.parametrize("language", NAMES)
async def test_edits_reach_an_isolated_step(editing: Running, language: str) -> None:
    running = editing
    before = await pid(running, language, "other")
    made = Isolated(running.it.project.root, language, "edited")
    made.make()
    await made.answers(running, "old")
    assert own(running, f"edited_{language}")
    made.step(code="new")
    await made.answers(running, "new")
    for word in ("one", "two"):
        made.helper(word)
        await made.answers(running, "new", word)
    made.break_step()
    await running.until(lambda: made.problems(running), "the problem")
    await made.answers(running, "new", "two")
    made.step(code="mended")
    await made.answers(running, "mended", "two")
    (entry,) = own(running, f"edited_{language}")
    assert entry["status"] == "ready"
    made.remove()
    await running.until(lambda: not own(running, f"edited_{language}"), "the end of its process")
    assert await pid(running, language, "other") == before


@pytest.mark.parametrize("language", NAMES)
async def test_an_edit_gives_a_step_a_process_and_takes_it_away(
    editing: Running, language: str
) -> None:
    running, root = editing, editing.it.project.root
    name = f"slow_{language}"
    plain = event(language, "slow", SLOW[language])
    apart = event(language, "slow", SLOW[language], ISOLATED[language])
    common = await pid(running, language, "other")

    async def ran_in(files: dict[str, str], revision: int) -> set[int]:
        """The processes of the first and the last of the events that are sent during an edit."""
        first, sent = len(await running.state("done")), 0

        async def send() -> bool:
            nonlocal sent
            await running.emit(f"slow.{language}", {"id": f"{revision}-{sent}"})
            sent += 1
            return bool(running.it.registry.steps[name].revision >= revision)

        await send()
        write(root, files)
        await running.until(send, "new code")
        await send()
        await running.settled()
        done = await running.state("done")
        assert len(done) == first + sent
        return {done[f"{revision}-0"], done[f"{revision}-{sent - 1}"]}

    write(root, plain)
    await running.until(lambda: name in running.it.registry.steps, "the step")
    both = await ran_in(apart, 2)
    (entry,) = own(running, name)
    (alone,) = [child["pid"] for child in entry["children"]]
    assert both == {alone, common}
    assert await ran_in(plain, 3) == {alone, common}
    await running.until(lambda: not own(running, name), "the end of its process")
    assert await running.dead() == []
