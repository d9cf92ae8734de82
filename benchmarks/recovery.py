"""How long a start with 100,000 waiting events takes, until it answers and until all is done."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import servers
from benchmarks.processes import NotAvailable, run_json
from benchmarks.project import Project
from benchmarks.rounds import Case, Figures, take_turns
from benchmarks.settings import Settings
from benchmarks.table import Table

__all__ = ["run"]

EVENTS = 100_000
CEILING = "bare SQLite"
LIMIT_S = 180.0
STORAGE = ".stepweave"
NO_BRAKE = {"STEPWEAVE_EVENTS_SLOW_AT": "0"}

_FILL = """
exports.config = {
  type: 'api', name: 'Fill', method: 'POST', path: '/fill', emits: ['late'],
}
exports.handler = async (req, { emit }) => {
  const note = 'x'.repeat(170)
  let left = req.body.count
  await Promise.all(Array.from({ length: 100 }, async () => {
    while (left-- > 0) await emit({ topic: 'late', data: { number: left, note } })
  }))
  return { status: 200, body: {} }
}
"""

_LATE = """
const fs = require('node:fs')
const gate = '@root@/gate'
const marks = '@root@/marks'
const open = fs.existsSync(gate)
const count = open ? Number(fs.readFileSync(gate, 'utf8')) : 0
let seen = 0

const mark = () => fs.appendFileSync(marks, `${process.hrtime.bigint() / 1000n}\\n`)

exports.config = { type: 'event', name: 'Late', subscribes: ['late'], emits: [] }
exports.handler = async () => {
  if (!open) await new Promise(() => {})
  seen += 1
  if (seen === 1 || seen === count) mark()
}
"""


def run(settings: Settings) -> list[Table]:
    """One table: a bare program on the same file, then Stepweave."""
    with servers.project({"fill.step.js": _FILL}) as root:
        (root / "steps" / "late.step.js").write_text(_LATE.replace("@root@", str(root)))
        full = _fill(root)
        (root / "gate").write_text(str(EVENTS))
        cases = [
            Case(CEILING, _bare(root, full)),
            Case("stepweave start", _recovered(root, full), CEILING),
        ]
        rows = take_turns(cases, settings.long_rounds, "all µs", smaller_is_better=True)
    notes = [
        f"{EVENTS} events left by a killed process; times are from the start of the process: until"
        " it is ready, runs the first and has run the last (a JavaScript step that does nothing)",
        "bare SQLite: read all rows of the same file, then delete them, 64 events a transaction",
    ]
    columns = ("ready µs", "first µs", "all µs", "events/s")
    return [Table("recovery: a start with waiting events", columns, rows, notes)]


def _fill(root: Path) -> Path:
    """Emit everything to a step that does not end, kill the process; returns its storage."""
    with servers.start(root, NO_BRAKE) as ours:
        Project(ours).post("/fill", {"count": EVENTS})
        os.kill(ours.pid, signal.SIGKILL)
    full = root / "full"
    shutil.move(root / STORAGE, full)
    return full


def _bare(root: Path, full: Path) -> Callable[[], Figures]:
    def measure() -> Figures:
        storage = root / "copy"
        shutil.copytree(full, storage)
        try:
            found: Figures = run_json(
                "benchmarks.bare.sqlite_drain", str(storage / "stepweave.sqlite")
            )
        finally:
            shutil.rmtree(storage)
        if found["events"] < EVENTS:
            raise NotAvailable(f"only {found['events']:g} of {EVENTS} events wait in the file")
        return found

    return measure


def _recovered(root: Path, full: Path) -> Callable[[], Figures]:
    def measure() -> Figures:
        shutil.rmtree(root / STORAGE, ignore_errors=True)
        shutil.copytree(full, root / STORAGE)
        marks = root / "marks"
        marks.write_text("")
        began = time.monotonic()
        with servers.start(root, NO_BRAKE):
            ready = time.monotonic()
            while len(found := marks.read_text().splitlines()) < 2:
                if time.monotonic() - began > LIMIT_S:
                    raise NotAvailable(f"not all was delivered within {LIMIT_S:g} s")
                time.sleep(0.05)
        first, last = (int(each) / 1e6 - began for each in found)
        return {
            "ready µs": (ready - began) * 1e6,
            "first µs": first * 1e6,
            "all µs": last * 1e6,
            "events/s": EVENTS / (last - first),
        }

    return measure
