"""Makes commits survive a power cut: one sync of the log for all who wait for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ["Syncer"]


class Syncer:
    """A thread that syncs the write-ahead log when somebody waits for it.

    A sync covers every unit that was committed when it began; those who ask meanwhile share
    the next one. `reached` is called in this thread with the sequence number that is safe, or
    with the OSError of a disk that refuses.
    """

    def __init__(
        self,
        log: Path,
        committed: Callable[[], int],
        reached: Callable[[int, OSError | None], None],
    ) -> None:
        self._descriptor = os.open(log, os.O_RDONLY)
        _sync_folder(log.parent)
        self._committed = committed
        self._reached = reached
        self._wanted = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="stepweave-sync", daemon=True)
        self._thread.start()

    def want(self) -> None:
        """Ask for a sync of what is committed by now."""
        self._wanted.set()

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
                os.fdatasync(self._descriptor)
            except OSError as error:
                self._reached(sequence, error)
            else:
                self._reached(sequence, None)
            if self._stopping:
                return


def _sync_folder(folder: Path) -> None:
    """Make the log's own directory entry durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
