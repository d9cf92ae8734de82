"""Moves the log into the main file beside the loop, which commits meanwhile."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ["Checkpoints"]


class Checkpoints:
    """A thread with a connection of its own. `done` is called in it after each pass.

    A pass moves what was committed when it began. What came meanwhile is moved by the one who
    commits, in a moment, after which the log begins anew instead of growing.
    """

    def __init__(self, path: Path, done: Callable[[], None]) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._done = done
        self._wanted = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="stepweave-checkpoint", daemon=True)
        self._thread.start()

    def want(self) -> None:
        """Ask for a pass."""
        self._wanted.set()

    def stop(self) -> None:
        """End the thread and close its connection."""
        self._stopping = True
        self._wanted.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopping:
                return
            # A disk that refuses is told to those who write; the log keeps what was not moved.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._done()
