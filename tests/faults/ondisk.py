"""What the store's file holds, read beside or after a server."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from stepweave import payload

__all__ = ["left", "starts", "state", "stream"]


def left(root: Path) -> tuple[int, int]:
    """Deliveries that are not settled, and dead letters."""
    ((waiting, dead),) = _rows(
        root, "SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM dead)"
    )
    return waiting, dead


def state(root: Path, group: str) -> dict[str, Any]:
    """A group of the state."""
    rows = _rows(root, "SELECT key, format, value FROM state WHERE grp=?", group)
    return {key: payload.decode((kind, value)) for key, kind, value in rows}


def stream(root: Path, name: str) -> dict[str, Any]:
    """The items of all groups of a stream, by id."""
    rows = _rows(root, "SELECT id, format, value FROM stream_items WHERE stream=?", name)
    return {id: payload.decode((kind, value)) for id, kind, value in rows}


def starts(root: Path, step: str) -> list[tuple[float, Any]]:
    """When the runs of a step were started (Unix s) and with what, in order, as its spans tell.

    A kill may take the last spans along.
    """
    query = "SELECT data FROM spans WHERE name=?"
    spans = [json.loads(data) for (data,) in _rows(root, query, step, file="traces.sqlite")]
    return sorted((span[5] / 1e6, json.loads(span[12][2])) for span in spans)


def _rows(root: Path, query: str, *parameters: str, file: str = "stepweave.sqlite") -> list[Any]:
    path = root / ".stepweave" / file
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as store:
        return store.execute(query, parameters).fetchall()
