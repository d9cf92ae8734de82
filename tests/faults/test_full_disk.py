"""The store refuses to write: who asked is told, and nothing that was accepted is lost."""

from __future__ import annotations

import contextlib
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.server import ledger, started, until
from tests.faults.steps import NAMES, events, project
from tests.flows.harness import start, write
from tests.flows.languages import LANGUAGES

LIMIT = 1_500_000
"""Bytes that a file of the process may have, as if the disk were full then."""

_TELL = {
    "typescript": """
  try {
    await emit({ topic: 'note.typescript', data: { id: 'emitted' } })
    return { status: 202 }
  } catch (error: any) { return { status: 507, body: error.message } }""",
    "python": """
    try:
        await emit({"topic": "note.python", "data": {"id": "emitted"}})
        return {"status": 202}
    except Exception as error:
        return {"status": 507, "body": str(error)}""",
    "ruby": """
  begin
    emit.call(topic: 'note.ruby', data: { id: 'emitted' })
    { status: 202 }
  rescue => error
    { status: 507, body: error.message }
  end""",
}
_TELL["javascript"] = _TELL["typescript"].replace("typescript", "javascript").replace(": any", "")


@contextlib.contextmanager
def refusing(path: Path, table: str) -> Iterator[None]:
    """Make every insert into a table of the store fail, as a full disk does."""
    store = sqlite3.connect(path, isolation_level=None, timeout=30)
    store.execute(
        f"CREATE TRIGGER full BEFORE INSERT ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    try:
        yield
    finally:
        store.execute("DROP TRIGGER full")
        store.close()


@pytest.mark.anyio
async def test_a_refused_emit_fails_in_its_handler_and_works_again_later(tmp_path: Path) -> None:
    files = project()
    for name, language in LANGUAGES.items():
        files[f"steps/tell_{name}{language.suffix}"] = language.api.format(
            name=f"Tell{name}", path=f"/tell/{name}", emits="", body=_TELL[name]
        )
    async with start(tmp_path, files) as running:
        await running.emit("note.python", {"id": "before"})
        with refusing(tmp_path / ".stepweave" / "stepweave.sqlite", "events"):
            for name in NAMES:
                answer = await running.http.post(f"/tell/{name}")
                assert answer.status_code == 507
                assert answer.text == "the store refused the write: database or disk is full"
            with pytest.raises(Exception, match="disk is full"):
                await running.emit("note.python", {"id": "refused"})
        for name in NAMES:
            assert (await running.http.post(f"/tell/{name}")).status_code == 202
        await running.settled()
        assert ledger(tmp_path) == {"before": 1, "emitted": len(NAMES)}
        assert await running.dead() == []


def test_a_full_disk_refuses_events_and_loses_none_that_it_accepted(tmp_path: Path) -> None:
    write(tmp_path, project())
    accepted: set[str] = set()
    refused = 0

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))

    with started(tmp_path, prepare=fill) as server:
        for number in range(200):
            (event,) = events(1, prefix=f"e{number}.", filler="x" * 40_000, pause=50)
            answer = server.post("/spread", [event])
            if answer.status_code == 202:
                accepted.add(event["id"])
            else:
                refused += 1
                assert answer.status_code in (500, 503), answer.text
                if refused == 5:
                    break
        assert accepted and refused == 5
        until(
            lambda: any("the store refused the write" in m for m in server.messages), "the record"
        )
        assert server.process.poll() is None
        server.kill()
    with started(tmp_path) as server:
        until(lambda: accepted <= set(ledger(tmp_path)), "what was accepted")
        (event,) = events(1, prefix="later")
        assert server.post("/spread", [event]).status_code == 202
        until(lambda: "later0" in ledger(tmp_path), "a later event")
