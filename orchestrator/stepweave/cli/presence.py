"""How commands find the server that runs a project: `server.json` in its storage folder."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["Presence", "announce", "find", "withdraw"]

_FILE = "server.json"


class Presence(NamedTuple):
    """A server: where it answers, the number of its process, and the key to its internal API."""

    url: str
    pid: int
    key: str | None = None


def announce(folder: Path, url: str, key: str) -> None:
    """Say that this process serves the project; readers see all of it or nothing. A copy of the
    folder does not say so.

    Only the user who runs the server can read the file, and so use its key.

    On a full disk it stays unsaid: commands then say that the project is in use.
    """
    beside = folder / f"{_FILE}.new"
    with contextlib.suppress(OSError):
        note = {"url": url, "pid": os.getpid(), "key": key, "folder": _mark(folder)}
        text = json.dumps(note) + "\n"
        beside.unlink(missing_ok=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        beside.replace(folder / _FILE)


def withdraw(folder: Path) -> None:
    """Say that it no longer does."""
    with contextlib.suppress(OSError):
        (folder / _FILE).unlink()


def find(folder: Path) -> Presence | None:
    """The server that runs the project, None if there is none or its process is gone."""
    try:
        found = json.loads((folder / _FILE).read_text("utf-8"))
        presence = Presence(str(found["url"]), int(found["pid"]), found.get("key"))
        is_ours = found["folder"] == _mark(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return presence if is_ours and _lives(presence.pid) else None


def _mark(folder: Path) -> list[int]:
    """What tells a folder from its copies, wherever it is moved."""
    found = folder.stat()
    return [found.st_dev, found.st_ino]


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
