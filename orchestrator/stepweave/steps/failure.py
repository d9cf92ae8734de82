"""A file that does not load, as a problem that shows where and why."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepweave.steps.frames import code_frame
from stepweave.steps.model import Found, Problem

__all__ = ["load_failed", "read_source", "unavailable"]

MAX_SOURCE = 1_000_000


def load_failed(found: Found, error: Mapping[str, Any], root: Path) -> Problem:
    """The problem of a failed load, from the error map of the protocol (SPEC 8).

    `error["data"]` may give file, line and column. The code frame is read from that file when it
    is a file of the project below `root`; one imported by the step is named as such.
    """
    data = error.get("data")
    place: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    line, column = _positive(place.get("line")), _positive(place.get("column"))
    kind, message = error.get("type"), str(error.get("message") or "it does not load")
    if isinstance(kind, str) and kind and not message.startswith(kind):
        message = f"{kind}: {message}"
    path = _inside(place.get("file"), root)
    if path is None:
        return Problem("error", "load_failed", message, found.relpath)
    file = path.relative_to(root.resolve()).as_posix()
    hint = None if file == found.relpath else f"{found.relpath} needs it"
    source = read_source(path) if line is not None else None
    frame = code_frame(source, line, column) if source and line is not None else None
    return Problem("error", "load_failed", message, file, line, column, frame or None, hint)


def unavailable(found: Found, reason: str, hint: str | None = None) -> Problem:
    """The problem of a step whose language has no runner on this machine."""
    return Problem("error", "unavailable", reason, found.relpath, hint=hint)


def read_source(path: Path) -> str | None:
    """The text of a source file for frames, None if it is too long or cannot be read."""
    try:
        if path.stat().st_size > MAX_SOURCE:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _inside(file: Any, root: Path) -> Path | None:
    """The file, if it is a readable file of the project."""
    if not isinstance(file, str) or not file or "\0" in file:
        return None
    path = Path(os.path.realpath(root / file.removeprefix("file://")))
    return path if path.is_relative_to(root.resolve()) and path.is_file() else None


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
