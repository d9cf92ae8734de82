"""Handlers that are slow or never end, beside healthy ones: those go on, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import handlers
from tests.faults.book import Book
from tests.flows.harness import Running, start

pytestmark = pytest.mark.anyio

# They end when the test makes a file: by waiting as one should, or by holding the runner up.
WAITS = {
    "python": "while not os.path.exists('gate'): await asyncio.sleep(0.01)",
    "typescript": """
  const { existsSync } = require('node:fs')
  while (!existsSync('gate')) await new Promise((done) => setTimeout(done, 10))""",
    "ruby": "sleep 0.01 until File.exist?('gate')",
}
BLOCKS = {
    "python": "while not os.path.exists('gate'): pass",
    "typescript": "const { existsSync } = require('node:fs'); while (!existsSync('gate')) {}",
    "ruby": "nil until File.exist?('gate')",
}


def project() -> dict[str, str]:
    """In each language a healthy step, one that waits for the gate, and one that blocks."""
    files: dict[str, str] = {}
    for name in handlers.LANGUAGES:
        files |= handlers.handler(name, f"healthy_{name}", f"healthy.{name}")
        files |= handlers.handler(name, f"waits_{name}", f"waits.{name}", WAITS[name])
        files |= handlers.handler(name, f"blocks_{name}", f"blocks.{name}", BLOCKS[name])
    return files


async def emit(running: Running, kind: str, name: str, count: int) -> set[str]:
    ids = {f"{kind}.{name}.{n}" for n in range(count)}
    for id in ids:
        await running.emit(f"{kind}.{name}", {"id": id})
    return ids


@pytest.mark.parametrize("language", handlers.LANGUAGES)
async def test_more_slow_handlers_than_may_run_at_once_hold_up_no_other_step(
    tmp_path: Path, language: str
) -> None:
    book = Book(tmp_path)
    async with start(tmp_path, project()) as running:
        slow = await emit(running, "waits", language, 100)
        await running.until(lambda: len(book.read().begun) == 64, "all that may run at once")
        healthy = set[str]()
        for name in handlers.LANGUAGES:
            healthy |= await emit(running, "healthy", name, 100)
        await running.until(lambda: healthy <= book.read().ended.keys(), "the healthy ones")
        assert not slow & book.ended.keys()
        (tmp_path / "gate").touch()
        await running.settled()
        assert book.read().ended == dict.fromkeys(slow | healthy, 1)


@pytest.mark.parametrize("language", handlers.LANGUAGES)
async def test_a_runner_that_is_held_up_is_replaced_and_its_other_work_done(
    tmp_path: Path, language: str
) -> None:
    book = Book(tmp_path)
    quick = {
        "STEPWEAVE_EVENTS_TIMEOUT_S": "1",
        "STEPWEAVE_EVENTS_MAX_RETRIES": "1",
        "STEPWEAVE_EVENTS_BACKOFF_BASE_S": "0.1",
        **{f"STEPWEAVE_RUNNERS_{it}_CANCEL_GRACE_S": "0.3" for it in ("NODE", "PYTHON", "RUBY")},
    }
    async with start(tmp_path, project(), mode="start", **quick) as running:
        stuck = await emit(running, "blocks", language, 2)
        others = [name for name in handlers.LANGUAGES if name != language]
        healthy = await emit(running, "healthy", others[0], 100)
        healthy |= await emit(running, "healthy", others[1], 100)
        await running.until(lambda: healthy <= book.read().ended.keys(), "the other languages")
        beside = await emit(running, "healthy", language, 50)
        await running.until(lambda: beside <= book.read().ended.keys(), "the same language")
        await running.settled()
        letters = await running.dead()
        assert {letter.topic for letter in letters} == {f"blocks.{language}"}
        assert len(letters) == len(stuck)
        assert not stuck & book.read().ended.keys()
