"""The ledger of the fault scenarios: a file beside the system, to which handlers and tests append.

A line is `b ID ATTEMPT` when a run of a handler begins, `e ID ATTEMPT` when it ends, `k WHAT` just
before something is killed and `d WHAT` when it is dead. Each line is one write to a file opened for
appending, so their order is the order of what happened.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Book", "Line"]


class Line(NamedTuple):
    """`kind` is b, e, k or d; of the last two `id` says what is killed."""

    kind: str
    id: str
    attempt: int


class Book:
    """Reads what was appended so far, and appends."""

    def __init__(self, root: Path) -> None:
        self.path = root / "book"
        self.path.touch()
        self.lines: list[Line] = []
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self._offset = 0

    def note(self, kind: str, what: str) -> None:
        """Append a line of the test's own."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, f"{kind} {what}\n".encode())
        os.close(descriptor)

    def read(self) -> Book:
        """Take in the lines that are new."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        for text in data[:whole].decode().splitlines():
            kind, id, *more = text.split(" ")
            self.lines.append(Line(kind, id, int(more[0]) if more else 0))
            if kind == "b":
                self.begun[id] += 1
            elif kind == "e":
                self.ended[id] += 1
        return self

    @property
    def repeated(self) -> int:
        """How many runs began beyond the first of each event."""
        return self.begun.total() - len(self.begun)

    def check_attempts(self) -> None:
        """An event's attempt grows by a death alone, and stays only if nobody could count it.

        Work may also be lost on its way to a handler, before that wrote a line.
        """
        last: dict[str, tuple[int, int, int]] = {}
        kills, dead = Counter[str](), Counter[str]()
        for line in self.lines:
            if line.kind == "k":
                kills[line.id] += 1
            elif line.kind == "d":
                dead[line.id] += 1
            elif line.kind == "b":
                attempt, dead_then, dead_orchestrators = last.get(line.id, (0, 0, 0))
                told = f"{line.id} ran as attempt {line.attempt} after attempt {attempt}"
                assert line.attempt >= attempt, told
                assert 0 < line.attempt <= kills.total() + 1, told
                if line.attempt == attempt:
                    assert kills["orchestrator"] > dead_orchestrators, told
                elif attempt:
                    assert kills.total() > dead_then, told
                last[line.id] = (line.attempt, dead.total(), dead["orchestrator"])

    def most_at_once(self, lane: Callable[[str], str]) -> Counter[str]:
        """For each lane the most events that ran at the same time; an id says which lane.

        A run that a kill broke off counts until what was killed is dead.
        """
        ended = {(line.id, line.attempt) for line in self.lines if line.kind == "e"}
        running: dict[str, set[tuple[str, int]]] = {}
        most = Counter[str]()
        for line in self.lines:
            run = line.id, line.attempt
            if line.kind == "b":
                runs = running.setdefault(lane(line.id), set())
                runs.add(run)
                most[lane(line.id)] = max(most[lane(line.id)], len(runs))
            elif line.kind == "e":
                running[lane(line.id)].discard(run)
            elif line.kind == "d":
                for runs in running.values():
                    runs &= ended
        return most

    def check_order(self) -> int:
        """Ids of the form GROUP/NUMBER ran in order and one at a time; returns how many groups."""
        running: dict[str, str] = {}
        newest: dict[str, int] = {}
        for line in self.lines:
            group, slash, number = line.id.partition("/")
            if not slash or line.kind not in "be":
                continue
            if line.kind == "b":
                assert int(number) >= newest.get(group, 0), f"{line.id} ran after {newest[group]}"
                newest[group] = int(number)
                running[group] = f"{line.id} {line.attempt}"
            elif line.kind == "e":
                told = f"{line.id} {line.attempt} ended while {running[group]} ran"
                assert running[group] == f"{line.id} {line.attempt}", told
        return len(newest)
