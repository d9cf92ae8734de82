"""One statement for many rows: each statement that runs costs a hand-over of the interpreter."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

__all__ = ["Rows"]

_MOST = 128


class Rows:
    """A statement whose middle is repeated, once a row.

    Its text is made for each power of two up to 128 rows, so that the connection finds each
    one compiled.
    """

    __slots__ = ("_texts",)

    def __init__(self, head: str, row: str, tail: str = "") -> None:
        self._texts: dict[int, str] = {}
        size = 1
        while size <= _MOST:
            self._texts[size] = head + ",".join([row] * size) + tail
            size *= 2

    def run(self, connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Run it for all rows, in order. Raises sqlite3.Error."""
        at, left, size = 0, len(rows), _MOST
        while left:
            while size > left:
                size >>= 1
            some = rows[at : at + size]
            connection.execute(self._texts[size], list(chain.from_iterable(some)))
            at += size
            left -= size
