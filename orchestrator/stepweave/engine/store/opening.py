"""Opening the store's folder and file, and saying what is wrong with them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from stepweave.engine.store import schema
from stepweave.errors import StoreFailed

__all__ = ["claim", "connect", "reason"]


def claim(folder: Path) -> int:
    """Claim the folder for this process; the lock goes with the process, however it ends.

    Returns the lock's descriptor. Raises StoreFailed when the folder cannot be used or another
    Stepweave has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "its user may not write in it; chown or chmod it")
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreFailed(f"{folder}: cannot be used for storage: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreFailed(
            f"{folder}: another Stepweave (process {holder}) runs this project; stop it first, "
            "or give this one its own folder with STEPWEAVE_STORAGE_PATH"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, making it if there is none.

    Raises StoreFailed for a file that is damaged, cannot be written or is of a newer Stepweave.
    """
    _refuse_emptied(path)
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        with _closed_on_error(connection):
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA secure_delete=OFF")
            # Others see to it long before (checkpoints), unless they cannot keep up.
            connection.execute("PRAGMA wal_autocheckpoint=20000")
            connection.execute("PRAGMA journal_size_limit=67108864")
            connection.execute("PRAGMA busy_timeout=5000")
            connection.execute("PRAGMA cache_size=-16384")
            schema.prepare(connection, str(path))
            # A file that can only be read opens without complaint, even for a transaction.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version={schema.VERSION}")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StoreFailed(reason(path, error)) from error
    return connection


def reason(path: Path, error: sqlite3.Error) -> str:
    """Why the file cannot be used, and what to do."""
    text = str(error)
    if "malformed" in text or "not a database" in text:
        return _damaged(path, text)
    if "readonly" in text:
        return (
            f"{path}: cannot be written ({text}); let the user who runs Stepweave write it, its "
            "-wal and its folder (chown, chmod), or set another STEPWEAVE_STORAGE_PATH"
        )
    return f"{path}: cannot be opened: {text}"


def _damaged(path: Path, text: str) -> str:
    return (
        f"{path}: the file is damaged ({text}); it was left as it is. Restore a copy, or move "
        "the file away to start empty"
    )


def _refuse_emptied(path: Path) -> None:
    """SQLite would throw the log of an empty file away; such a file has lost what it held."""
    log = path.with_name(path.name + "-wal")
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size == 0 and log.stat().st_size > 0:
            raise StoreFailed(_damaged(path, "it is empty, its log is not"))


@contextlib.contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, StoreFailed):
        connection.close()
        raise
