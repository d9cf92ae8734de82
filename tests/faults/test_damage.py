"""Files that are damaged or cannot be written: a clear word, and the file stays as it is."""

from __future__ import annotations

import contextlib
import ctypes
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.server import ledger, started, until
from tests.faults.steps import events, project
from tests.flows.harness import write

_DROP_FROM_BOUNDING_SET, _OVERRIDE, _READ_SEARCH = 24, 1, 2


def obey_permissions() -> None:
    """Take from root what lets it pass over the permissions of files."""
    for capability in (_OVERRIDE, _READ_SEARCH):
        ctypes.CDLL(None).prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a project that was killed with 40 events waiting; all is in the main
    file."""
    write(tmp_path, project())
    with started(tmp_path) as server:
        assert server.post("/spread", events(40, pause=60_000)).status_code == 202
        server.kill()
    folder = tmp_path / ".stepweave"
    with contextlib.closing(sqlite3.connect(folder / "stepweave.sqlite")) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def garble_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 100 + path.read_bytes()[100:])


def garble_middle(path: Path, beyond: int = 4096) -> None:
    """The head of every page from there on becomes noise."""
    dice = random.Random(1)
    content = bytearray(path.read_bytes())
    for at in range(beyond, len(content), 4096):
        content[at : at + 200] = dice.randbytes(200)
    path.write_bytes(content)


def cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def overwrite(path: Path) -> None:
    path.write_text("somebody's shopping list\n" * 1000)


def empty_beside_its_log(path: Path) -> None:
    path.with_name(path.name + "-wal").write_bytes(path.read_bytes())
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "damage", [garble_header, garble_middle, cut_in_half, overwrite, empty_beside_its_log]
)
def test_a_damaged_store_is_reported_at_the_start_and_kept_byte_for_byte(
    data: Path, damage: Callable[[Path], None]
) -> None:
    path = data / "stepweave.sqlite"
    damage(path)
    before = path.read_bytes()
    with started(data.parent, ready=False) as server:
        assert server.wait() == 1
        told = server.output.read_text()
    assert f"{path}: the file is damaged" in told
    assert "Restore a copy, or move the file away" in told and "Traceback" not in told
    assert path.read_bytes() == before


def make_file_read_only(data: Path) -> None:
    (data / "stepweave.sqlite").chmod(0o444)


def make_folder_read_only(data: Path) -> None:
    data.chmod(0o555)


@pytest.mark.parametrize(
    ("protect", "text"),
    [
        (make_file_read_only, "stepweave.sqlite: cannot be written"),
        (make_folder_read_only, "its user may not write in it"),
    ],
)
def test_a_store_that_cannot_be_written_is_reported_at_the_start(
    data: Path, protect: Callable[[Path], None], text: str
) -> None:
    before = (data / "stepweave.sqlite").read_bytes()
    protect(data)
    try:
        with started(data.parent, ready=False, prepare=obey_permissions) as server:
            assert server.wait() == 1
            told = server.output.read_text()
    finally:
        data.chmod(0o755)
    assert text in told and "chmod" in told and "Traceback" not in told
    assert (data / "stepweave.sqlite").read_bytes() == before


def test_damaged_traces_are_set_aside_and_everything_else_works(data: Path) -> None:
    path = data / "traces.sqlite"
    for name in (path, path.with_name("traces.sqlite-wal")):
        name.write_bytes(b"no traces" * 1000)
    content = path.read_bytes()
    with started(data.parent) as server:
        assert any("traces.sqlite.damaged" in message for message in server.messages)
        assert server.post("/spread", events(4, prefix="new")).status_code == 202
        until(lambda: {f"new{n}" for n in range(4)} <= ledger(data.parent).keys(), "new events")
    assert path.with_name("traces.sqlite.damaged").read_bytes() == content


KEEP = """
config = {"type": "api", "name": "Keep", "method": "POST", "path": "/keep"}
async def handler(req, context):
    for number in range(300):
        await context.state.set("kept", str(number), "x" * 4000)
    return {"status": 200}
"""
LOOK = """
config = {"type": "api", "name": "Look", "method": "POST", "path": "/look"}
async def handler(req, context):
    return {"status": 200, "body": len(await context.state.get_group("kept"))}
"""


def test_damage_that_shows_later_is_told_and_takes_nobody_down(tmp_path: Path) -> None:
    path = tmp_path / ".stepweave" / "stepweave.sqlite"
    write(tmp_path, {**project(), "steps/keep.step.py": KEEP, "steps/look.step.py": LOOK})
    with started(tmp_path) as server:
        server.process.terminate()
        server.wait()
    tables = path.stat().st_size
    with started(tmp_path) as server:
        assert server.post("/keep").status_code == 200
        server.process.terminate()
        server.wait()
    garble_middle(path, beyond=tables + 8 * 4096)
    assert doctor(tmp_path)[0] == 1
    with started(tmp_path) as server:
        assert server.post("/look").status_code == 500
        told = until(lambda: [m for m in server.messages if "malformed" in m], "the record")
        assert str(path) in told[0] and "cannot be read" in told[0]
        assert server.post("/spread", events(40)).status_code == 202
        until(lambda: len(ledger(tmp_path)) == 40, "the events")
        code, report = doctor(tmp_path)
    assert code == 1 and f"{path} is damaged" in report and "estore a copy" in report


def test_the_doctor_finds_nothing_wrong_with_a_store_in_use(data: Path) -> None:
    with started(data.parent):
        assert "is damaged" not in doctor(data.parent)[1]
    assert "is damaged" not in doctor(data.parent)[1]


def doctor(root: Path) -> tuple[int, str]:
    """The exit code and the report of `stepweave doctor`."""
    command = [sys.executable, "-m", "stepweave", "doctor", str(root), "--no-color"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout
