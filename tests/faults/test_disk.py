"""A disk that fails or dawdles: who asked is told, what was accepted stays, and it works again."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stepweave import payload
from stepweave.engine.store.operations import StateSet
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.errors import StoreFailed
from tests.faults.server import Server, launched, ledger, started, until
from tests.faults.steps import events, project
from tests.flows.harness import write


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    write(tmp_path, project())
    with started(tmp_path, **launched(tmp_path)) as it:
        yield it


@pytest.mark.parametrize("fault", ["eio", "eio-commit"])
def test_a_disk_that_fails_is_told_to_who_waits_and_works_again_without_a_restart(
    server: Server, tmp_path: Path, fault: str
) -> None:
    accepted: set[str] = set()

    def send(prefix: str) -> int:
        sent = events(4, prefix=prefix)
        answer = server.post("/spread", sent)
        if answer.status_code == 202:
            accepted.update(event["id"] for event in sent)
        return answer.status_code

    assert send("before") == 202
    (tmp_path / "faults" / fault).touch()
    # A sync that fails is made good in another way if that works, and here it does.
    answers = [send(f"during{n}.") for n in range(3)]
    assert answers[0] in (500, 503) and set(answers) <= {202, 500, 503}
    assert server.process.poll() is None
    until(
        lambda: [m for m in server.messages if "nput/output error" in m or "I/O error" in m],
        "the record",
    )
    (tmp_path / "faults" / fault).unlink()
    assert send("after") == 202
    until(lambda: accepted <= ledger(tmp_path).keys(), "what was accepted")
    server.kill()
    with started(tmp_path) as later:
        assert later.post("/spread", events(4, prefix="later")).status_code == 202
        until(lambda: {f"later{n}" for n in range(4)} <= ledger(tmp_path).keys(), "later events")


def test_answers_wait_for_a_slow_disk_and_share_its_syncs(server: Server, tmp_path: Path) -> None:
    slow = tmp_path / "faults" / "slow"
    slow.write_text("0.5")
    began = time.monotonic()
    with ThreadPoolExecutor(40) as pool:
        sent = [pool.submit(server.post, "/spread", events(2, prefix=f"e{n}.")) for n in range(40)]
        assert {each.result().status_code for each in sent} == {202}
    assert time.monotonic() - began >= 0.5, "an answer left before the disk was done"
    slow.unlink()
    until(lambda: len(ledger(tmp_path)) == 80, "the events")
    assert set(ledger(tmp_path).values()) == {1}


@pytest.mark.anyio
async def test_a_sync_that_failed_is_made_good_elsewhere_before_anybody_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may forget what it failed to write, and then call the next sync a success."""
    store = SqliteStore(tmp_path)
    value = payload.encode("kept")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", _fail)
        with pytest.raises(StoreFailed, match="cannot be synced"):
            await store.sync(store.submit((StateSet("g", "doubtful", value),)))
    await store.sync(store.submit((StateSet("g", "answered", value),)))
    alone = tmp_path / "alone.sqlite"
    shutil.copy(tmp_path / "stepweave.sqlite", alone)
    with contextlib.closing(sqlite3.connect(alone)) as copy:
        rows = copy.execute("SELECT key FROM state ORDER BY key").fetchall()
    assert rows == [("answered",), ("doubtful",)]
    await store.sync(store.submit((StateSet("g", "later", value),)))
    await store.close()


def _fail(_descriptor: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
