"""A look into the store's file beside whoever has it open, without a lock or a change."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

__all__ = ["paused_steps"]


def paused_steps(folder: Path) -> set[str]:
    """The names of the cron steps that are paused; none if the file is not there or not readable.

    Whoever opens it to run the project says what is wrong with it.
    """
    path = folder / "stepweave.sqlite"
    if not path.exists():
        return set()
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as connection:
            rows = connection.execute("SELECT step FROM cron_ticks WHERE paused").fetchall()
    except sqlite3.Error:
        return set()
    return {step for (step,) in rows}
