"""Runners that outlived their orchestrator: they are ended before their work runs anew."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

__all__ = ["Leftovers"]

_PATIENCE_S = 5.0


class Leftovers:
    """The list of the processes that this run started, in a file that the next run reads.

    A runner leaves by itself when its orchestrator is gone, but one that is frozen or busy may
    still write when the next orchestrator has begun. Works where there is /proc; elsewhere the
    list stays empty.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def end(self) -> int:
        """Kill what the last run has left and begin a new list; returns how many there were.

        Waits until they are gone, some seconds at the most.
        """
        found = []
        with contextlib.suppress(OSError, ValueError):
            for line in self._file.read_text().splitlines():
                number, _, began = line.partition(" ")
                if began and _began(int(number)) == began:
                    found.append((int(number), began))
        for pid, _ in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        deadline = time.monotonic() + _PATIENCE_S
        for pid, began in found:
            while _began(pid) == began and time.monotonic() < deadline:
                time.sleep(0.01)
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
        return len(found)

    def note(self, pid: int) -> None:
        """Add a process to the list. On a full disk it stays out."""
        if began := _began(pid):
            with contextlib.suppress(OSError), self._file.open("a") as file:
                file.write(f"{pid} {began}\n")


def _began(pid: int) -> str:
    """When a process began, in ticks since the boot; empty for none and for one that is dead."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]
