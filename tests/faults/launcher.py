"""Runs Stepweave with faults that the files of a folder turn on and off.

The folder is `$FAULTS`. In it
- `eio` makes each sync of the log fail, `eio-commit` each commit, as a broken disk does;
- `slow` holds how many seconds each sync of the log takes longer;
- `cut` names a folder that gets, once, what the disk would hold after a power cut (`powercut`).

No handler sees any of that: runners are processes of their own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from stepweave.cli import main
from tests.faults.powercut import PowerCut

_FAULTS = Path(os.environ["FAULTS"])


def _disturb_disk() -> None:
    """Watch and disturb the syncs of the log and the commits of the store."""
    cut = PowerCut()
    sync = os.fdatasync
    connect = sqlite3.connect

    def fdatasync(descriptor: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            time.sleep(float((_FAULTS / "slow").read_text()))
        if (_FAULTS / "eio").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        reached = cut.begin_sync(descriptor)
        sync(descriptor)
        cut.synced(reached)

    class Connection(sqlite3.Connection):
        """Stops before a transaction to do what was ordered."""

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "COMMIT" and (_FAULTS / "eio-commit").exists():
                raise sqlite3.OperationalError("disk I/O error")
            if sql == "BEGIN IMMEDIATE" and (_FAULTS / "cut").exists():
                cut.take(_FAULTS / "cut")
            if sql.startswith("PRAGMA wal_autocheckpoint"):
                sql = "PRAGMA wal_autocheckpoint=250"  # so that short tests see many
            return super().execute(sql, *parameters)

    def connecting(path: Path, **options: Any) -> Any:
        if Path(path).name != "stepweave.sqlite":
            return connect(path, **options)
        cut.database = Path(path)
        return connect(path, factory=Connection, **options)

    replaced: tuple[Any, Any] = (fdatasync, connecting)
    os.fdatasync, sqlite3.connect = replaced


if __name__ == "__main__":
    _disturb_disk()
    sys.exit(main())
