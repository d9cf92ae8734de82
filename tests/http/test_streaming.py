"""Answers in parts: as fast as the client reads, whole or visibly not, closed when nobody reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepweave.steps.model import Kind
from tests.flows.harness import Running, start
from tests.http.streams import FILES, LANGUAGES, PART, PARTS
from tests.http.wire import Wire, ask, connect, request

pytestmark = pytest.mark.anyio

each_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("streams"), FILES) as it:
        assert [str(p) for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it


async def begin(wire: Wire, path: str) -> list[str]:
    """Ask for an answer in parts; its head."""
    await wire.send(request("GET", path))
    return await wire.head()


@each_language
async def test_each_part_is_sent_in_its_form(running: Running, language: str) -> None:
    answer = await ask(running, "GET", f"/{language}/parts/mixed")

    assert answer.status == 200
    assert answer.body == "grüße ".encode() + b"\x00\xff" + b'{"n":1}\n'
    assert answer.get("transfer-encoding") == "chunked"
    assert answer.get("content-type") == "text/plain; charset=utf-8"
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer.get("x-trace-id")


@each_language
@pytest.mark.parametrize(("what", "body"), [("plain", b"one two"), ("empty", b"")])
async def test_iterators_and_streams_of_the_language_are_bodies(
    running: Running, language: str, what: str, body: bytes
) -> None:
    answer = await ask(running, "GET", f"/{language}/parts/{what}")
    assert (answer.status, answer.body) == (200, body)


@each_language
async def test_a_connection_is_used_again_after_parts(running: Running, language: str) -> None:
    async with connect(running) as wire:
        for _ in range(2):
            await wire.send(request("GET", f"/{language}/parts/plain"))
            assert (await wire.answer()).body == b"one two"


@each_language
async def test_a_part_is_there_before_the_next_one_is_made(running: Running, language: str) -> None:
    async with connect(running) as wire:
        await begin(wire, f"/{language}/parts/gated?id={language}")
        assert await wire.chunk() == b"first"
        assert (await running.state("begun"))[language] is True

        await _put(running, "open", language)
        assert await wire.chunk() == b"second"
        assert await wire.chunk() == b""


@each_language
async def test_what_is_not_read_is_not_made(running: Running, language: str) -> None:
    async def made() -> int:
        return int((await running.state("made")).get(language, 0))

    async with connect(running) as wire:
        await begin(wire, f"/{language}/parts/large?id={language}")
        before, now = -1, await made()
        while before != now or now == 0:
            await asyncio.sleep(0.1)
            before, now = now, await made()
        assert now < PARTS - 100

        size = 0
        while part := await wire.chunk():
            size += len(part)
        assert size == PART * PARTS


@each_language
async def test_a_handler_whose_client_leaves_is_closed(running: Running, language: str) -> None:
    begun = len(running.records)
    async with connect(running) as wire:
        await begin(wire, f"/{language}/parts/endless?id={language}-left")
        assert await wire.chunk() == b"tick"
        wire.abort()
    await running.until(lambda: f"closed {language}-left" in running.messages)
    assert [r.message for r in running.records[begun:] if r.level == "error"] == []


async def test_a_client_that_asked_for_more_before_it_left_is_noticed(running: Running) -> None:
    async with connect(running) as wire:
        await wire.send(request("GET", "/python/parts/endless?id=behind") + request("GET", "/") * 2)
        await wire.head()
        assert await wire.chunk() == b"tick"
        wire.abort()
    await running.until(lambda: "closed behind" in running.messages)


@each_language
async def test_an_error_midway_ends_the_connection_before_the_answer(
    running: Running, language: str
) -> None:
    async with connect(running) as wire:
        await begin(wire, f"/{language}/parts/breaks")
        assert await wire.chunk() == b"begun"
        assert await wire.closed() == b""
    await running.until(
        lambda: [r for r in running.records if r.level == "error" and "it broke off" in r.message]
    )


@each_language
async def test_a_runner_that_dies_midway_ends_the_connection(
    running: Running, language: str
) -> None:
    async with connect(running) as wire:
        await begin(wire, f"/{language}/parts/dies")
        assert await wire.chunk() == b"begun"
        assert await wire.closed() == b""
    await running.until(lambda: [m for m in running.messages if "only the beginning" in m])
    assert (await ask(running, "GET", f"/{language}/parts/plain")).body == b"one two"


@each_language
async def test_a_head_has_no_parts(running: Running, language: str) -> None:
    async with connect(running) as wire:
        await wire.send(request("HEAD", f"/{language}/parts/endless?id={language}-head"))
        answer = await wire.answer(to_head=True)
        assert (answer.status, answer.body) == (200, b"")
        await wire.send(request("GET", f"/{language}/parts/plain"))
        assert (await wire.answer()).body == b"one two"


@each_language
async def test_a_head_that_cannot_be_sent_is_an_error_of_the_handler(
    running: Running, language: str
) -> None:
    answer = await ask(running, "GET", f"/{language}/parts/injected")
    assert answer.status == 500
    assert answer.get("x-evil") is None


@each_language
async def test_the_time_limit_counts_until_the_end(running: Running, language: str) -> None:
    async with connect(running) as wire:
        await begin(wire, f"/{language}/shortparts/endless?id={language}-late")
        while await wire.chunk(or_end=True):
            pass
    await running.until(lambda: f"closed {language}-late" in running.messages)
    await running.until(lambda: [m for m in running.messages if "did not end its answer" in m])


@each_language
async def test_server_sent_events_have_their_form(running: Running, language: str) -> None:
    answer = await ask(running, "GET", f"/{language}/parts/sse")

    assert answer.get("content-type") == "text/event-stream"
    assert answer.get("cache-control") == "no-cache"
    assert answer.get("x-more") == "yes"
    assert answer.body == b'event: price\nid: 1\ndata: {"n":1}\n\ndata: bye\n\n'


async def test_at_the_end_what_still_streams_is_closed(tmp_path: Path) -> None:
    async with start(tmp_path, FILES) as running:
        wires = []
        for language in LANGUAGES:
            url = running.http.base_url
            wire = Wire(*await asyncio.open_connection(url.host, url.port))
            await begin(wire, f"/{language}/parts/endless?id={language}")
            assert await wire.chunk() == b"tick"
            wires.append(wire)

        async def drain(wire: Wire) -> None:
            while await wire.chunk(or_end=True):
                pass

        reading = asyncio.gather(*map(drain, wires))
        running.it.stop()
        await reading
        closed = [f"closed {language}" for language in LANGUAGES]
        await running.until(lambda: set(closed) <= set(running.messages))
        for wire in wires:
            await wire.close()


async def test_a_limit_of_its_own_lets_a_stream_go_on_or_not(tmp_path: Path) -> None:
    async with start(tmp_path, FILES, STEPWEAVE_SERVER_STREAM_TIMEOUT_S="0.2") as running:
        async with connect(running) as wire:
            await begin(wire, "/python/parts/endless?id=x")
            while await wire.chunk(or_end=True):
                pass
        await running.until(lambda: "closed x" in running.messages)


async def _put(running: Running, group: str, key: str) -> None:
    answer = await running.http.post(f"/open/{group}/{key}")
    assert answer.status_code == 204


@each_language
async def test_an_edit_leaves_an_answer_with_its_code(tmp_path: Path, language: str) -> None:
    suffix = {"python": "py", "javascript": "js", "ruby": "rb"}[language]
    names = [f"steps/parts.step.{suffix}", "steps/open.step.py"]
    files = {name: FILES[name] for name in names}
    async with start(tmp_path, files, mode="dev") as running, connect(running) as wire:
        await begin(wire, f"/{language}/parts/gated?id=old")
        assert await wire.chunk() == b"first"
        step = tmp_path / names[0]
        step.write_text(step.read_text().replace("second", "newer").replace("one ", "new "))

        async def is_new() -> bool:
            return (await running.http.get(f"/{language}/parts/plain")).text == "new two"

        await running.until(is_new)
        await _put(running, "open", "old")
        assert await wire.chunk() == b"second"
        assert await wire.chunk() == b""


@each_language
async def test_a_step_that_is_run_by_hand_answers_as_a_whole(
    running: Running, language: str
) -> None:
    step = next(
        step
        for step in running.it.registry.of_kind(Kind.API)
        if step.route == f"/{language}/parts/:what"
    )
    given = {"method": "GET", "path": "/", "params": {"what": "plain"}, "query": {}, "headers": {}}
    _, outcome = await running.it.run_step(step, "api", {**given, "body": None})
    assert outcome.status == "ok"
    assert outcome.result["status"] == 200
    assert outcome.result["body"] == ("text", b"one two")
