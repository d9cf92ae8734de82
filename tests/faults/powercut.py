"""What a disk holds after a power cut: everything synced, and of the rest as little as it likes.

The main file of SQLite is written by checkpoints alone, and each of them syncs the log before it
writes (synchronous=NORMAL). So between two transactions the main file may be taken as it is, with
the log up to the last frame that a checkpoint has moved, or up to where it ended when the last
finished sync of our own began, whichever is further. A log that was begun anew after that sync has
only what a checkpoint has moved since: what it held before is in the main file, and synced.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import threading
import time
from pathlib import Path

__all__ = ["PowerCut"]

_HEADER, _FRAME = 32, 24
_MOVED_AT = 96
"""Behind the two copies of the index's own header."""

_Reached = tuple[bytes, int]
"""The salt of a log, which changes when it is begun anew, and where it ends in bytes."""


class PowerCut:
    """Follows the syncs of one log and makes pictures of the disk."""

    def __init__(self) -> None:
        self.database = Path()
        self._lock = threading.Lock()
        self._safe: _Reached = (b"", 0)

    def begin_sync(self, descriptor: int) -> _Reached:
        """Where the log ends now, which a sync that begins now makes safe."""
        salt, at = self._safe
        header = os.pread(descriptor, _HEADER, 0)
        if len(header) < _HEADER:
            return b"", 0
        size = _FRAME + struct.unpack(">I", header[8:12])[0]
        if header[16:24] != salt:
            salt, at = header[16:24], _HEADER
        while os.pread(descriptor, 8, at + 8) == salt:
            at += size
        return salt, at

    def synced(self, reached: _Reached) -> None:
        """That sync is done."""
        with self._lock:
            self._safe = reached

    def take(self, order: Path) -> None:
        """Make the picture in the folder that the file names; called between transactions.

        `tail` gets what the log had beyond its last sync, `cut.json` when that was (monotonic ns).
        """
        folder = Path(order.read_text())
        order.unlink()
        log = self.database.with_name(self.database.name + "-wal")
        with self._lock:
            facts = {"at": time.monotonic_ns()}
            salt, end = self._safe
        folder.mkdir(parents=True)
        shutil.copy(self.database, folder)
        with log.open("rb") as file:
            whole = file.read()
        if whole[16:24] != salt:
            end = 0
        size = _FRAME + int.from_bytes(whole[8:12], "big")
        if moved := _moved(self.database):
            end = max(end, _HEADER + moved * size)
        (folder / log.name).write_bytes(whole[:end])
        (folder / "tail").write_bytes(whole[end:])
        done = folder / "cut.json.new"
        done.write_text(json.dumps(facts))
        done.rename(folder / "cut.json")


def _moved(database: Path) -> int:
    """How many frames of the log are in the main file: nBackfill of the index in shared memory."""
    with database.with_name(database.name + "-shm").open("rb") as index:
        index.seek(_MOVED_AT)
        return int.from_bytes(index.read(4), sys.byteorder)
