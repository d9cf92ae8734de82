"""Reads that may take long, in a thread with a connection of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

__all__ = ["LongReads"]

_T = TypeVar("_T")


class LongReads:
    """One read at a time, of what is committed when it begins."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "stepweave-read")
        self._connection: sqlite3.Connection | None = None

    async def run(self, reader: Callable[[sqlite3.Connection], _T]) -> _T:
        """What the reader returns. Raises what it raises, sqlite3.Error among it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._run, reader)

    async def close(self) -> None:
        """Wait for the read that runs, then let go of the file."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _run(self, reader: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            self._connection.execute("PRAGMA query_only=1")
            self._connection.execute("PRAGMA busy_timeout=5000")
        return reader(self._connection)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
