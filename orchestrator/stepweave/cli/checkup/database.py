"""The files of events and traces: whether SQLite finds them sound."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from stepweave.cli.checkup.check import Check

__all__ = ["checks"]


def checks(folder: Path) -> Iterator[Check]:
    """A finding for each file that is damaged; beside a running server, too. Changes nothing."""
    events, traces = folder / "stepweave.sqlite", folder / "traces.sqlite"
    if problem := _problem(events):
        fix = "stop Stepweave, then restore a copy, or move the file away to start empty"
        yield Check("data", "error", f"{events} is damaged: {problem}", fix)
    if problem := _problem(traces):
        fix = f"stop Stepweave, then rm {traces}; only traces and logs are lost"
        yield Check("traces", "warning", f"{traces} is damaged: {problem}", fix)


def _problem(path: Path) -> str | None:
    """The first thing wrong with a file; None if nothing is, or it cannot be told."""
    if not path.is_file():
        return None
    log = path.with_name(path.name + "-wal")
    used = log.is_file() and log.stat().st_size > 0
    if used and path.stat().st_size == 0:
        return "it is empty, its log is not"
    # Without a log there is nothing to share, and SQLite need not make files to share it with.
    mode = "mode=ro" if used else "mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True)) as db:
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        damaged = "malformed" in str(error) or "not a database" in str(error)
        return str(error) if damaged else None
    return None if found == "ok" else " ".join(str(found).split())
