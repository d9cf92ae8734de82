"""Files change while the project serves: new code takes over, nothing is lost on the way."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepweave import reload
from tests.flows.edits import NAMES, Endpoint
from tests.flows.harness import Running, start, write
from tests.flows.languages import LANGUAGES

pytestmark = pytest.mark.anyio

KEEP = {
    "typescript": "  await state.set('{group}', String(data.n), '{code}')",
    "javascript": "  await state.set('{group}', String(data.n), '{code}')",
    "python": "    await state.set('{group}', str(data['n']), '{code}')",
    "ruby": "  state.set('{group}', data[:n].to_s, '{code}')",
}


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One project in development mode; each test brings its own files and takes them away."""
    root: Path = tmp_path_factory.mktemp("reload")
    before = reload.UNLOAD_AFTER_S
    reload.UNLOAD_AFTER_S = 0.2
    files = {}
    for language in NAMES:
        files |= Endpoint(root, language, "always").files()
    try:
        async with start(root, files, mode="dev") as it:
            assert it.it.registry.all_problems == ()
            yield it
    finally:
        reload.UNLOAD_AFTER_S = before


@pytest.fixture(params=NAMES)
async def endpoint(running: Running, request: pytest.FixtureRequest) -> AsyncIterator[Endpoint]:
    """An endpoint of its own that serves the old code, in each language."""
    what = request.node.originalname.removeprefix("test_")[:24]
    made = Endpoint(running.it.project.root, request.param, what)
    made.make()
    await made.answers(running, "old")
    yield made
    made.remove()
    gone = made.relpath
    await running.until(lambda: gone not in running.it.entries, f"the end of {gone}")
    assert running.it.registry.ok


async def test_an_edited_handler_takes_over(running: Running, endpoint: Endpoint) -> None:
    endpoint.step(code="new")
    await endpoint.answers(running, "new")


async def test_an_edited_route_takes_over_and_the_old_one_is_gone(
    running: Running, endpoint: Endpoint
) -> None:
    before = endpoint.path
    endpoint.step(path=f"{before}/moved")
    await endpoint.answers(running, "old")
    assert (await running.http.get(before)).status_code == 404


async def test_an_edited_helper_reaches_the_step(running: Running, endpoint: Endpoint) -> None:
    for word in ("new", "newer"):
        endpoint.helper(word)
        await endpoint.answers(running, "old", word)


async def test_a_broken_file_keeps_its_last_good_code_until_it_is_mended(
    running: Running, endpoint: Endpoint
) -> None:
    endpoint.break_step()
    await running.until(lambda: endpoint.problems(running), "the problem")
    (problem,) = endpoint.problems(running)
    assert (problem.file, problem.line) == (endpoint.relpath, 2), problem
    assert "> 2 |" in problem.frame
    assert await endpoint.ask(running) == {"code": "old", "word": "old"}

    endpoint.step(code="mended")
    await endpoint.answers(running, "mended")
    await running.until(lambda: not endpoint.problems(running), "the end of the problem")


async def test_a_broken_helper_is_named_and_the_last_good_code_serves_until_it_is_mended(
    running: Running, endpoint: Endpoint
) -> None:
    endpoint.break_helper()
    await running.until(lambda: endpoint.problems(running), "the problem")
    (problem,) = endpoint.problems(running)
    assert (problem.file, problem.line) == (endpoint.helper_relpath, 2), problem
    assert "> 2 |" in problem.frame
    assert problem.hint == f"{endpoint.relpath} needs it"
    assert await endpoint.ask(running) == {"code": "old", "word": "old"}

    endpoint.helper("mended")
    await endpoint.answers(running, "old", "mended")
    await running.until(lambda: not endpoint.problems(running), "the end of the problem")


async def test_a_helper_that_comes_later_mends_the_step(
    running: Running, endpoint: Endpoint
) -> None:
    helper = running.it.project.root / endpoint.helper_relpath
    text = helper.read_text()
    helper.unlink()
    await running.until(lambda: endpoint.problems(running), "the problem")
    assert endpoint.values["stem"] in str(endpoint.problems(running)[0])
    assert await endpoint.ask(running) == {"code": "old", "word": "old"}
    helper.write_text(text)
    await running.until(lambda: not endpoint.problems(running), "the end of the problem")
    assert await endpoint.ask(running) == {"code": "old", "word": "old"}


async def test_a_config_that_makes_no_sense_keeps_the_step_as_it_was(
    running: Running, endpoint: Endpoint
) -> None:
    before = endpoint.path
    endpoint.step(path="no slash", code="new")
    await running.until(lambda: endpoint.problems(running), "the problem")
    assert "no slash" in str(endpoint.problems(running)[0])
    endpoint.values["path"] = before
    assert await endpoint.ask(running) == {"code": "old", "word": "old"}
    endpoint.step(path=before)
    await endpoint.answers(running, "new")


async def test_a_deleted_file_takes_its_route_along_and_may_come_back(
    running: Running, endpoint: Endpoint
) -> None:
    text = endpoint.file.read_text()

    async def gone() -> bool:
        return await endpoint.ask(running) is None

    endpoint.file.unlink()
    await running.until(gone, "the end of the route")
    assert endpoint.problems(running) == []
    endpoint.file.write_text(text.replace("'old'", "'back'").replace('"old"', '"back"'))
    await endpoint.answers(running, "back")
    # The old revision is unloaded after a while; the one that came back must stay.
    await asyncio.sleep(2 * reload.UNLOAD_AFTER_S)
    assert await endpoint.ask(running) == {"code": "back", "word": "old"}


@pytest.mark.parametrize("edited", ["step", "helper"])
async def test_a_running_call_finishes_on_the_old_code_while_new_ones_run_the_new(
    running: Running, endpoint: Endpoint, tmp_path: Path, edited: str
) -> None:
    gate = tmp_path / "gate"
    call = asyncio.create_task(endpoint.ask(running, gate))
    pool = running.it.pools.pools["node" if "script" in endpoint.language else endpoint.language]
    await running.until(lambda: any(child.calls for child in pool.children), "the call")
    if edited == "step":
        endpoint.step(code="new")
        await endpoint.answers(running, "new")
    else:
        endpoint.helper("new")
        await endpoint.answers(running, "old", "new")
    await asyncio.sleep(2 * reload.UNLOAD_AFTER_S)
    assert not call.done()
    gate.touch()
    assert await call == {"code": "old", "word": "old"}


async def test_fifty_edits_under_load_fail_no_request(running: Running, endpoint: Endpoint) -> None:
    seen: list[Any] = []
    over = asyncio.Event()

    async def load() -> None:
        while not over.is_set():
            seen.append(await endpoint.ask(running))

    def served() -> set[str]:
        return {answer["code"] for answer in seen if answer is not None}

    clients = [asyncio.create_task(load()) for _ in range(4)]
    for number in range(50):
        if number % 5 == 4:
            endpoint.helper(f"word {number}")
        else:
            endpoint.step(code=f"code {number}")
        await asyncio.sleep(0.02)
        if number % 10 == 3:
            await running.until(lambda code=f"code {number}": code in served(), "the new code")
    await endpoint.answers(running, "code 48", "word 49")
    over.set()
    await asyncio.gather(*clients)
    assert None not in seen
    await running.until(lambda: not endpoint.problems(running), "no problem")


@pytest.mark.parametrize("language", NAMES)
async def test_events_that_flow_through_an_edit_are_all_handled(
    running: Running, language: str
) -> None:
    spoken = LANGUAGES[language]
    group = f"flow.{language}"
    relpath = f"steps/flow_{language}{spoken.suffix}"

    def edit(code: str) -> None:
        body = KEEP[language].format(group=group, code=code)
        text = spoken.event.format(
            name=f"Flow{language}", subscribes=f"'{group}'", more="", body=body
        )
        write(running.it.project.root, {relpath: text})

    edit("0")
    name = f"Flow{language}"
    await running.until(lambda: name in running.it.registry.steps, "the step")
    for number in range(200):
        if number % 20 == 19:
            edit(str(number))
            await asyncio.sleep(0.03)
        await running.emit(group, {"n": number})
    await running.settled()
    assert set(await running.state(group)) == {str(number) for number in range(200)}
    assert await running.dead() == []
    (running.it.project.root / relpath).unlink()
    await running.until(lambda: name not in running.it.registry.steps, "the end of the step")


@pytest.mark.parametrize("language", NAMES)
async def test_edited_topics_take_effect_and_waiting_events_stay(
    running: Running, language: str
) -> None:
    spoken, root = LANGUAGES[language], running.it.project.root
    group = f"topics.{language}"
    relpath = f"steps/topics_{language}{spoken.suffix}"
    name = f"Topics{language}"

    def edit(topic: str) -> None:
        body = KEEP[language].format(group=group, code=topic)
        text = spoken.event.format(name=name, subscribes=f"'{topic}'", more="", body=body)
        write(root, {relpath: text})

    def subscribes(topic: str) -> bool:
        step = running.it.registry.steps.get(name)
        return step is not None and step.subscribes == (topic,)

    edit("a.first")
    await running.until(lambda: subscribes("a.first"), "the step")
    await running.emit("a.first", {"n": 1})
    await running.settled()
    edit("a.second")
    await running.until(lambda: subscribes("a.second"), "the other topic")
    await running.emit("a.first", {"n": 2})
    await running.emit("a.second", {"n": 3})
    await running.settled()
    assert await running.state(group) == {"1": "a.first", "3": "a.second"}

    for delay_ms in (200, 2_000, 20_000):
        await running.emit("a.second", {"n": 4}, due_at=_soon(delay_ms))
        (root / relpath).unlink()
        await running.until(lambda: name not in running.it.registry.steps, "the end of the step")
        if running.it.bus.waiting:
            break
        # The machine was so slow that the event was due before its step had left.
        edit("a.second")
        await running.until(lambda: subscribes("a.second"), "the step")
    await running.until(lambda: running.it.bus.statistics()["parked"].get(name), "a parked event")
    edit("a.third")
    await running.settled()
    assert (await running.state(group))["4"] == "a.third"
    (root / relpath).unlink()
    await running.until(lambda: name not in running.it.registry.steps, "the end of the step")


@pytest.mark.parametrize("language", NAMES)
async def test_the_first_file_of_a_language_starts_its_runner(
    tmp_path: Path, language: str
) -> None:
    async with start(tmp_path, {"steps/.keep": ""}, mode="dev") as running:
        assert running.it.pools.pools == {}
        endpoint = Endpoint(tmp_path, language, "first")
        endpoint.make()
        await endpoint.answers(running, "old")


async def test_a_runner_that_dies_comes_back_with_the_newest_code(
    running: Running, endpoint: Endpoint
) -> None:
    endpoint.step(code="new")
    await endpoint.answers(running, "new")
    pool = running.it.pools.pools["node" if "script" in endpoint.language else endpoint.language]
    restarts = pool.restarts
    os.kill(pool.children[0].pid, signal.SIGKILL)
    await running.until(lambda: pool.restarts > restarts, "a new child")
    assert await endpoint.ask(running) == {"code": "new", "word": "old"}


async def test_a_loop_without_end_can_be_mended_while_it_runs(tmp_path: Path) -> None:
    loops = {
        "typescript": "  for (;;) {}",
        "python": "    while True: pass",
        "ruby": "  loop {}",
    }
    fine = {
        "typescript": "  return { status: 200, body: 'fine' }",
        "python": "    return {'status': 200, 'body': 'fine'}",
        "ruby": "  { status: 200, body: 'fine' }",
    }

    def edit(language: str, body: str) -> None:
        spoken = LANGUAGES[language]
        text = spoken.api.format(name=language, path=f"/{language}", emits="", body=body)
        write(tmp_path, {f"steps/{language}{spoken.suffix}": text})

    for language, body in loops.items():
        edit(language, body)
    async with start(tmp_path, mode="dev") as running:
        pools = running.it.pools.pools
        stuck = [asyncio.create_task(running.http.post(f"/{name}")) for name in loops]
        await running.until(lambda: all(pools[n].children[0].calls for n in pools), "the calls")
        for language, body in fine.items():
            edit(language, body)

        def renewed() -> bool:
            return all(step.revision > 1 for step in running.it.registry.steps.values())

        await running.until(renewed, "new code")
        for language in fine:
            assert (await running.http.post(f"/{language}")).text == "fine"
        for call in stuck:
            call.cancel()


async def test_a_renamed_file_serves_without_a_gap(running: Running, endpoint: Endpoint) -> None:
    before = endpoint.file
    over = asyncio.Event()

    async def load() -> None:
        while not over.is_set():
            assert await endpoint.ask(running) == {"code": "old", "word": "old"}

    client = asyncio.create_task(load())
    path = before
    for number in range(4):
        renamed = before.with_name(f"renamed{number}_{before.name}")
        path.rename(renamed)
        path = renamed
        relpath = f"steps/{renamed.name}"
        await running.until(lambda relpath=relpath: relpath in running.it.entries, relpath)
    over.set()
    await client
    path.rename(before)
    await running.until(lambda: endpoint.relpath in running.it.entries, "the old name")


async def test_edited_settings_are_said_to_need_a_restart(running: Running) -> None:
    for name in ("stepweave.toml", ".env"):
        path = running.it.project.root / name
        path.write_text("")
        told = f"{name} has changed; it is read again at a restart"
        await running.until(lambda told=told: told in running.messages, told)
        path.unlink()


async def test_a_step_behind_a_link_is_edited_in_its_place(
    running: Running, endpoint: Endpoint
) -> None:
    real = running.it.project.root / "shared" / endpoint.file.name
    real.parent.mkdir(exist_ok=True)
    endpoint.file.rename(real)
    endpoint.file.symlink_to(real)
    await endpoint.answers(running, "old")
    real.write_text(real.read_text().replace("'old'", "'new'").replace('"old"', '"new"'))
    await endpoint.answers(running, "new")


async def test_a_moved_folder_of_helpers_is_noticed(running: Running, endpoint: Endpoint) -> None:
    root = running.it.project.root
    (root / "services").rename(root / "elsewhere")
    await running.until(lambda: endpoint.problems(running), "the problem")
    assert await endpoint.ask(running) == {"code": "old", "word": "old"}
    (root / "elsewhere").rename(root / "services")
    await running.until(lambda: running.it.registry.ok, "no problem")
    assert await endpoint.ask(running) == {"code": "old", "word": "old"}


async def test_a_ruby_helper_edited_beside_a_broken_step_takes_effect_once_that_is_mended(
    running: Running,
) -> None:
    root = running.it.project.root
    one, other = Endpoint(root, "ruby", "one"), Endpoint(root, "ruby", "other")
    for each in (one, other):
        each.make()
        await each.answers(running, "old")
    other.break_step()
    await running.until(lambda: other.problems(running), "the problem")
    one.helper("new")
    told = f"{one.relpath}: its new code waits until {other.relpath} can be loaded"
    await running.until(lambda: told in running.messages, "the reason why nothing changes")
    assert await one.ask(running) == {"code": "old", "word": "old"}
    other.step(code="mended")
    await other.answers(running, "mended")
    await one.answers(running, "old", "new")
    for each in (one, other):
        await running.until(lambda each=each: not each.problems(running), "no problem")
        each.remove()
    await running.until(lambda: one.relpath not in running.it.entries, "the end")


def _soon(ms: int) -> int:
    import time

    return time.time_ns() // 1_000_000 + ms
