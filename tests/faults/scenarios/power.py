"""The power fails under load: whatever was answered before is there and is handled afterwards."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import httpx

from tests.faults import handlers
from tests.faults.load import Site, feeding
from tests.faults.ondisk import state
from tests.faults.scenarios.scale import Figures, Scale
from tests.faults.server import launched, started, until
from tests.flows.harness import write

__all__ = ["run"]

_TOPICS = [f"loose.{name}" for name in handlers.LANGUAGES]
_BODY = {
    "python": "await state.set('done', data['id'], True)",
    "typescript": "await state.set('done', data.id, true)",
    "ruby": "state.set('done', data['id'], true)",
}
_PUT = """
config = {"type": "api", "name": "Put", "method": "POST", "path": "/put"}
async def handler(req, context):
    await context.state.set("put", "newest", req.body)
    return {"status": 200}
"""


class _Putter(threading.Thread):
    """Writes growing numbers; `answered` has them with the times of their answers."""

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self.answered: list[tuple[int, int]] = []
        self._site = site

    def run(self) -> None:
        """Put until the site is over."""
        with httpx.Client(base_url=self._site.url or "", timeout=90) as client:
            for number in range(1_000_000):
                if self._site.over.is_set():
                    return
                assert client.post("/put", json=number).status_code == 200
                self.answered.append((time.monotonic_ns(), number))


def run(root: Path, scale: Scale) -> Figures:
    """Take pictures of the disk at random moments, and let a server go on from each."""
    files = {"steps/put.step.py": _PUT}
    for name in handlers.LANGUAGES:
        files |= handlers.accept(name) | handlers.handler(
            name, f"loose_{name}", f"loose.{name}", _BODY[name]
        )
    first = root / "first"
    write(first, files)
    site = Site(first, **launched(first))
    dice = scale.dice()
    try:
        site.open()
        with feeding(site, _TOPICS, scale.dice("events")) as feeders:
            putter = _Putter(site)
            putter.start()
            cuts = []
            for number in range(scale.faults):
                enough = len(putter.answered) + dice.randint(10, 50)
                until(lambda enough=enough: len(putter.answered) >= enough, "answers")
                cuts.append(_cut(site, root / f"cut{number}"))
            putter_ok = putter.is_alive()
        putter.join()
        site.stop()
    finally:
        site.close()
    assert putter_ok and putter.answered
    accepted = {id: at for feeder in feeders for id, at in feeder.accepted.items()}
    proven = unsynced = 0
    for number, cut in enumerate(cuts):
        scale.say(f"power cut {number + 1} of {scale.faults}")
        at = json.loads((cut / "cut.json").read_text())["at"]
        promised = {id for id, answered in accepted.items() if answered < at}
        newest = max((n for answered, n in putter.answered if answered < at), default=-1)
        unsynced += (cut / "tail").stat().st_size
        _go_on(root / f"after{number}", files, cut, dice)
        _prove(root / f"after{number}", promised, newest)
        proven += len(promised)
    return {
        "power cuts": str(len(cuts)),
        "accepted before them": f"{proven:,}",
        "lost": "0",
        "log lost at a cut": f"{unsynced / len(cuts) / 1024:,.0f} KiB on average",
    }


def _cut(site: Site, folder: Path) -> Path:
    """Have a picture taken."""
    order = site.root / "faults" / "cut"
    order.with_suffix(".new").write_text(str(folder))
    order.with_suffix(".new").rename(order)
    until(lambda: (folder / "cut.json").exists(), "the picture")
    site.book.read()
    return folder


def _go_on(root: Path, files: dict[str, str], cut: Path, dice: random.Random) -> None:
    """Put the picture where a project's data is; of what was not synced the disk kept nothing,
    some, or garbage."""
    write(root, files)
    data = root / ".stepweave"
    data.mkdir()
    shutil.copy(cut / "stepweave.sqlite", data)
    tail = (cut / "tail").read_bytes()
    tail = tail[: dice.randint(0, len(tail))]
    fate = dice.choice(("gone", "some", "garbage"))
    if fate == "gone":
        tail = b""
    elif fate == "garbage":
        tail = dice.randbytes(len(tail))
    log = (cut / "stepweave.sqlite-wal").read_bytes()
    (data / "stepweave.sqlite-wal").write_bytes(log + tail)


def _prove(root: Path, promised: set[str], newest: int) -> None:
    """Everything promised is there after a start, and the file is in order."""
    with started(root) as server:
        until(lambda: promised <= state(root, "done").keys(), "what was accepted")
        if newest >= 0:
            assert state(root, "put")["newest"] >= newest
        server.process.terminate()
        assert server.wait() == 0
    with contextlib.closing(sqlite3.connect(root / ".stepweave" / "stepweave.sqlite")) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
