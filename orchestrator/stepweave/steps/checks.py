"""What can only be seen when all files are read: names and routes given twice, loose topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from stepweave.steps import locate, patterns, wording
from stepweave.steps.frames import code_frame
from stepweave.steps.model import Entry, Problem, Severity, Step, Stream

__all__ = ["CODES", "Checked", "across"]

CODES = frozenset(
    {"duplicate_name", "duplicate_route", "duplicate_stream", "no_emitter", "no_subscriber"}
)
"""The problems that only this module finds."""


class Checked(NamedTuple):
    """The entries with what was found added, and the relpaths that must not be registered."""

    entries: tuple[Entry, ...]
    dropped: frozenset[str]


def across(entries: Sequence[Entry]) -> Checked:
    """Check the entries against each other; the earlier of two that clash is kept."""
    entries = [_alone(entry) for entry in entries]
    check = _Check(entries)
    check.names()
    check.routes()
    check.topics()
    return Checked(
        tuple(
            replace(entry, problems=(*entry.problems, *check.problems[index]))
            if check.problems[index]
            else entry
            for index, entry in enumerate(entries)
        ),
        frozenset(check.dropped),
    )


def _alone(entry: Entry) -> Entry:
    """The entry without what an earlier pass found."""
    own = tuple(problem for problem in entry.problems if problem.code not in CODES)
    return entry if len(own) == len(entry.problems) else replace(entry, problems=own)


class _Check:
    """One pass over all entries."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.problems: list[list[Problem]] = [[] for _ in entries]
        self.dropped: set[str] = set()

    def names(self) -> None:
        first: dict[tuple[str, str], Entry] = {}
        for index, entry in enumerate(self.entries):
            if entry.item is None:
                continue
            what = "stream" if isinstance(entry.item, Stream) else "step"
            name = entry.item.name
            other = first.setdefault((what, name), entry)
            if other is not entry:
                self.drop(
                    index,
                    f"duplicate_{'stream' if what == 'stream' else 'name'}",
                    f"{wording.quote(name)} is already the name of the {what} in "
                    f"{other.found.relpath}",
                    "give one of them another name; until then this file is not registered",
                    "name",
                )

    def routes(self) -> None:
        first: dict[tuple[str, str], Entry] = {}
        for index, entry in enumerate(self.entries):
            step = entry.item
            if not isinstance(step, Step) or step.route is None or step.method is None:
                continue
            if step.relpath in self.dropped:
                continue
            other = first.setdefault((step.method, patterns.compile(step.route).key), entry)
            if other is not entry:
                self.drop(
                    index,
                    "duplicate_route",
                    f"{step.method} {step.route} is already the route of {other.found.relpath}",
                    "give one of them another path; until then this file is not registered",
                    "path",
                )

    def topics(self) -> None:
        steps = [
            (index, entry.item)
            for index, entry in enumerate(self.entries)
            if isinstance(entry.item, Step) and entry.item.relpath not in self.dropped
        ]
        subscribed = {
            topic for _, step in steps for topic in (*step.subscribes, *step.virtual_subscribes)
        }
        emitted = {emit.topic for _, step in steps for emit in (*step.emits, *step.virtual_emits)}
        for index, step in steps:
            for topic in dict.fromkeys(emit.topic for emit in step.emits):
                if topic not in subscribed:
                    meant = wording.closest(topic, subscribed - emitted)
                    self.note(
                        index,
                        "warning",
                        "no_subscriber",
                        f"no step subscribes to {wording.quote(topic)}, so its events go nowhere",
                        f"did you mean {wording.quote(meant)}?" if meant else None,
                        "emits",
                        topic,
                    )
            for topic in step.subscribes:
                if topic not in emitted:
                    meant = wording.closest(topic, emitted - subscribed)
                    self.note(
                        index,
                        "info",
                        "no_emitter",
                        f"no step says that it emits {wording.quote(topic)}",
                        f"did you mean {wording.quote(meant)}?" if meant else None,
                        "subscribes",
                        topic,
                    )

    def drop(self, index: int, code: str, message: str, hint: str, key: str) -> None:
        self.dropped.add(self.entries[index].found.relpath)
        self.note(index, "error", code, message, hint, key)

    def note(
        self,
        index: int,
        severity: Severity,
        code: str,
        message: str,
        hint: str | None,
        key: str,
        text: str | None = None,
    ) -> None:
        entry = self.entries[index]
        line = column = frame = None
        place = None
        if entry.source:
            place = locate.text(entry.source, text, key) if text is not None else None
            place = place or locate.key(entry.source, key)
        if entry.source and place is not None:
            line, column = place
            frame = code_frame(entry.source, line, column) or None
        self.problems[index].append(
            Problem(severity, code, message, entry.found.relpath, line, column, frame, hint)
        )
