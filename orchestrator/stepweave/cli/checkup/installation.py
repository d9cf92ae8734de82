"""Stepweave itself: its interpreter and the parts that make it fast."""

from __future__ import annotations

import importlib.util
import platform
import sqlite3
import sys
from collections.abc import Iterator

from stepweave.cli.checkup.check import Check

__all__ = ["checks"]

# RETURNING, which the queue is written with, came in 3.35.
_SQLITE_MINIMUM = (3, 35, 0)


def checks() -> Iterator[Check]:
    """Python, msgpack, the event loop, the HTTP parser, SQLite."""
    version = platform.python_version()
    yield Check("python", "ok", f"{version} at {sys.executable}")
    yield _msgpack()
    for module, what in (("uvloop", "the event loop"), ("httptools", "the HTTP parser")):
        if importlib.util.find_spec(module) is not None:
            yield Check(module, "ok", f"{what} is the fast one")
        else:
            yield Check(
                module, "warning", f"not installed: {what} is the slow one", f"pip install {module}"
            )
    if sqlite3.sqlite_version_info < _SQLITE_MINIMUM:
        yield Check(
            "sqlite",
            "error",
            f"{sqlite3.sqlite_version} is too old, 3.35 is the least",
            "install a newer Python; it brings its own SQLite",
        )
    else:
        yield Check("sqlite", "ok", sqlite3.sqlite_version)


def _msgpack() -> Check:
    import msgpack

    version = ".".join(map(str, msgpack.version))
    if importlib.util.find_spec("msgpack._cmsgpack") is None:
        return Check(
            "msgpack",
            "warning",
            f"{version}, the pure one: every call is 10 to 18 times slower on the wire",
            "pip install --force-reinstall --only-binary :all: msgpack",
        )
    return Check("msgpack", "ok", f"{version}, compiled")
