"""Log records on a terminal or in a file: rendered and written by a thread of their own.

A slow terminal never holds up the orchestrator: the queue is bounded, debug records go first
when it fills, and the number left out is said once there is room again.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from stepweave.logline import render, render_json
from stepweave.logs import RANK, Level, Record
from stepweave.paint import Paint, wants_color

__all__ = ["Console"]

_BATCH = 256  # records in one write


class Console:
    """A sink that writes records, and any other text in order with them, to one stream.

    `capacity` is the number of records that may wait: debug ones up to half of it, warnings
    and errors up to twice.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        level: Level = "info",
        color: bool | None = None,
        fields: bool = True,
        as_json: bool = False,
        capacity: int = 10_000,
    ) -> None:
        self.stream = stream or sys.stdout
        self.paint = Paint(wants_color(self.stream) if color is None else color)
        self.level = level
        self._fields = fields
        self._as_json = as_json
        self._least = RANK[level]
        self._room = {
            "debug": capacity // 2,
            "info": capacity,
            "warn": capacity * 2,
            "error": capacity * 2,
        }
        self._queue: queue.SimpleQueue[Record | str | threading.Event | None] = queue.SimpleQueue()
        self._left_out = 0
        self._left_out_debug = 0
        self._thread: threading.Thread | None = None
        self._closed = False

    def add_log(self, record: Record) -> None:
        """Take a record, unless its level is not shown or the queue has no room for it."""
        level = record.level
        if RANK.get(level, 1) < self._least:
            return
        if self._queue.qsize() >= self._room.get(level, 0):
            self._left_out += 1
            self._left_out_debug += level == "debug"
            return
        self._put(record)

    def write(self, text: str) -> None:
        """Take text as it is (a banner, a result); it comes out in order with the records."""
        self._put(text)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until what was given so far is written; False if the stream did not take it."""
        if self._thread is None:
            return True
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, and end; a stream that hangs is left behind after the time-out."""
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout_s)
            self._thread = None

    def _put(self, item: Record | str) -> None:
        if self._closed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="stepweave console", daemon=True)
            self._thread.start()
        self._queue.put(item)

    def _run(self) -> None:
        going = True
        while going:
            batch = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < _BATCH:
                    batch.append(self._queue.get_nowait())
            going = None not in batch
            # A stream that went away (a closed pipe, a full disk) must not end the orchestrator.
            with contextlib.suppress(OSError, ValueError):
                self.stream.write("".join(self._text(batch)))
                self.stream.flush()
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()

    def _text(self, batch: list[Record | str | threading.Event | None]) -> Iterator[str]:
        encoding = self.stream.encoding or "utf-8"
        for item in batch:
            if isinstance(item, Record):
                yield self._line(item).encode(encoding, "replace").decode(encoding)
            elif isinstance(item, str):
                yield item.encode(encoding, "replace").decode(encoding)
        if self._left_out and self._queue.empty():
            count, debug = self._left_out, self._left_out_debug
            self._left_out = self._left_out_debug = 0
            text = f"{count} records ({debug} debug) left out: this output could not keep up"
            yield self._line(Record(time.time_ns() // 1_000_000, "warn", text, source="stepweave"))

    def _line(self, record: Record) -> str:
        try:
            if self._as_json:
                return render_json(record) + "\n"
            return render(record, self.paint, fields=self._fields) + "\n"
        except Exception as error:
            # Half a surrogate pair, for one: no record may end the thread that shows the others.
            return f"{record.level} {record.message!a} (cannot be shown: {error!a})\n"
