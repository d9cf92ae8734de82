"""Makes commits survive a power cut: one sync of the log for all who wait for it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

__all__ = ["Syncer"]

_QUICK_S = 0.0005
_LOOKED_AT = 16


class Syncer:
    """A thread that syncs the write-ahead log when somebody waits for it.

    A sync covers every unit that was committed when it began; those who ask meanwhile share
    the next one. `reached` is called in this thread with the sequence number that is safe, or
    with the error of a disk that refuses.
    """

    def __init__(
        self,
        path: Path,
        committed: Callable[[], int],
        reached: Callable[[int, OSError | sqlite3.Error | None], None],
    ) -> None:
        """`path` is the store's file, whose log must be there."""
        log = path.with_name(path.name + "-wal")
        self._path = path
        self._failed = False
        self._descriptor = os.open(log, os.O_RDONLY)
        _sync_folder(log.parent)
        self._committed = committed
        self._reached = reached
        self._took: deque[float] = deque(maxlen=_LOOKED_AT)
        self._wanted = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="stepweave-sync", daemon=True)
        self._thread.start()

    def want(self) -> None:
        """Ask for a sync of what is committed by now."""
        self._wanted.set()

    @property
    def quick(self) -> bool:
        """Whether the disk has been so quick of late that waiting for it here costs less than
        the thread does. The thread's own waits for the interpreter are among what it took, so
        the best of the last ones counts."""
        return not self._failed and bool(self._took) and min(self._took) < _QUICK_S

    def here(self) -> OSError | sqlite3.Error | None:
        """Sync in the thread of the caller; the error if the disk refuses."""
        try:
            self._sync()
        except (OSError, sqlite3.Error) as error:
            self._failed = True
            return error
        return None

    def stop(self) -> None:
        """End the thread after a last sync."""
        self._stopping = True
        self._wanted.set()
        self._thread.join()
        os.close(self._descriptor)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            sequence = self._committed()
            try:
                self._sync()
            except (OSError, sqlite3.Error) as error:
                self._failed = True
                self._reached(sequence, error)
            else:
                self._failed = False
                self._reached(sequence, None)
            if self._stopping:
                return

    def _sync(self) -> None:
        if not self._failed:
            began = time.perf_counter()
            os.fdatasync(self._descriptor)
            self._took.append(time.perf_counter() - began)
            return
        # After a sync that failed, the system may take what it could not write for written: the
        # next sync of the log would succeed and prove nothing. So all of it goes elsewhere.
        with contextlib.closing(sqlite3.connect(self._path, timeout=30)) as store:
            busy, size, moved = store.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy or moved < size:
            raise sqlite3.OperationalError("what is in the log cannot be moved to the main file")


def _sync_folder(folder: Path) -> None:
    """Make the log's own directory entry durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
