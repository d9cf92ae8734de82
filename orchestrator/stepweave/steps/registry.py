"""Everything that is registered, as one snapshot that is swapped whole and never changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

from stepweave.steps import checks, wording
from stepweave.steps.model import Entry, Kind, Problem, Step, Stream
from stepweave.steps.routes import RouteTable

__all__ = ["EMPTY", "Registry", "Route"]


class Route(NamedTuple):
    """One way in over HTTP."""

    method: str
    path: str
    step: Step


@dataclass(frozen=True, slots=True)
class Registry:
    """The steps and streams of a project at one moment.

    `entries` are all files found, broken ones too, each with its problems, sorted by path.
    `steps` are those that run, by name; `by_relpath` the same by handle. `streams` are by name.
    `subscribers` gives the event steps of a topic, `flows` the steps and streams drawn in a flow.
    `problems` belong to no single file; `all_problems` gives them with everybody else's.
    """

    entries: tuple[Entry, ...] = ()
    steps: Mapping[str, Step] = field(default_factory=dict)
    by_relpath: Mapping[str, Step] = field(default_factory=dict)
    streams: Mapping[str, Stream] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    table: RouteTable[Step] = field(default_factory=lambda: RouteTable[Step](()))
    subscribers: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    flows: Mapping[str, tuple[Step | Stream, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @classmethod
    def build(cls, entries: Iterable[Entry], problems: Iterable[Problem] = ()) -> Registry:
        """The snapshot of these files; what does not fit together becomes a problem.

        Of two steps with one name or one route, and of two streams with one name, the first by
        path is registered and the other is not. Entries of an earlier snapshot may be given
        again: what was found across files then is forgotten and looked for anew.
        """
        checked = checks.across(sorted(entries, key=lambda entry: entry.found.relpath))
        items = [entry.item for entry in checked.entries if entry.item is not None]
        items = [item for item in items if item.relpath not in checked.dropped]
        steps = [item for item in items if isinstance(item, Step)]
        routes = tuple(
            Route(step.method, step.route, step)
            for step in steps
            if step.method is not None and step.route is not None
        )
        subscribers: dict[str, list[Step]] = {}
        flows: dict[str, list[Step | Stream]] = {}
        for step in steps:
            for topic in step.subscribes:
                subscribers.setdefault(topic, []).append(step)
        for item in items:
            for flow in item.flows:
                flows.setdefault(flow, []).append(item)
        return cls(
            entries=checked.entries,
            steps=MappingProxyType({step.name: step for step in steps}),
            by_relpath=MappingProxyType({step.relpath: step for step in steps}),
            streams=MappingProxyType({i.name: i for i in items if isinstance(i, Stream)}),
            routes=routes,
            table=RouteTable(routes),
            subscribers=MappingProxyType({t: tuple(s) for t, s in subscribers.items()}),
            flows=MappingProxyType({flow: tuple(flows[flow]) for flow in sorted(flows)}),
            problems=tuple(problems),
        )

    def updated(self, changed: Iterable[Entry], removed: Iterable[str] = ()) -> Registry:
        """The next snapshot: some files read again or new, others (by relpath) gone."""
        entries = {entry.found.relpath: entry for entry in self.entries}
        for relpath in removed:
            entries.pop(relpath, None)
        entries |= {entry.found.relpath: entry for entry in changed}
        return Registry.build(entries.values(), self.problems)

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """Every problem: those of the project first, then file by file."""
        own = (problem for entry in self.entries for problem in entry.problems)
        return (*self.problems, *own)

    @property
    def ok(self) -> bool:
        """Whether nothing keeps a file from running."""
        return all(problem.severity != "error" for problem in self.all_problems)

    def find(self, text: str) -> Step | None:
        """The step that a person means: by name, path or file name, however it is spelled."""
        if text in self.steps:
            return self.steps[text]
        relpath = PurePosixPath(text).as_posix().removeprefix("./")
        if relpath in self.by_relpath:
            return self.by_relpath[relpath]
        folded = _fold(text)
        for spelled in (_stem, lambda step: step.name):
            found = [step for step in self.steps.values() if _fold(spelled(step)) == folded]
            if len(found) == 1:
                return found[0]
        return None

    def closest(self, text: str) -> str | None:
        """The name of the step that was probably meant by one that there is not."""
        return wording.closest(text, self.steps)

    def of_kind(self, kind: Kind) -> tuple[Step, ...]:
        """The registered steps of a kind, sorted by path."""
        return tuple(step for step in self.steps.values() if step.kind is kind)

    def to_json(self) -> dict[str, Any]:
        """What `stepweave steps --json` prints: every file found, with what is wrong with it.

        {"steps": [{"name", "type", "language", "path", "config", "problems"}], "streams": [the
        same], "problems": [those of no single file], "ok": bool}. `path` is relative; of a file
        that does not load, name, type and config are None.
        """
        steps: list[dict[str, Any]] = []
        streams: list[dict[str, Any]] = []
        for entry in self.entries:
            is_stream = isinstance(entry.item, Stream) or (
                entry.item is None and entry.found.what == "stream"
            )
            (streams if is_stream else steps).append(_entry_json(entry))
        return {
            "steps": steps,
            "streams": streams,
            "problems": [problem.to_json() for problem in self.problems],
            "ok": self.ok,
        }


def _fold(name: str) -> str:
    """The name without case and word signs: create-order, create_order and CreateOrder are one."""
    return re.sub(r"[-_ .]", "", name).lower()


def _stem(step: Step) -> str:
    """The file name before `.step.ts` or `_step.py`."""
    name = PurePosixPath(step.relpath).name
    for sign in (".step.", "_step.", ".stream.", "_stream."):
        base, found, _ = name.rpartition(sign)
        if found:
            return base
    return name


def _entry_json(entry: Entry) -> dict[str, Any]:
    item = entry.item
    return {
        "name": None if item is None else item.name,
        "type": None if item is None else str(item.kind),
        "language": entry.found.language,
        "path": entry.found.relpath,
        "config": None if item is None else item.config,
        "problems": [problem.to_json() for problem in entry.problems],
    }


EMPTY = Registry()
