"""Scenarios: scripts of what is sent and expected, read from YAML and checked for form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from stepweave import files
from stepweave.errors import UsageError

__all__ = ["Act", "Defaults", "Scenario", "defaults", "load"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same rules either way; the one in C reads all scenarios in a tenth of the time."""

VERBS = frozenset(
    {
        "allow",
        "close",
        "exit",
        "expect",
        "expect_all",
        "hold",
        "pause",
        "replace",
        "restart_if",
        "send",
        "send_bytewise",
        "send_oversized",
        "send_raw",
        "send_together",
        "stderr",
    }
)
KEYS = frozenset(
    {"about", "each", "fresh", "handshake", "name", "needs", "script", "spec", "steps"}
)


@dataclass(frozen=True, slots=True)
class Act:
    """One line of a script."""

    verb: str
    argument: Any


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test of a runner.

    `handshake` is what its initialize says differently, or None if the script shakes hands
    itself. `row` holds names that are bound before the script begins.
    """

    name: str
    spec: str
    script: tuple[Act, ...]
    needs: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    fresh: bool = False
    handshake: Mapping[str, Any] | None = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fixtures(self) -> frozenset[str]:
        """The fixtures that it names anywhere."""
        named = set(self.steps)
        for act in self.script:
            named.update(_paths(act.argument))
            if act.verb == "replace":
                named.update(act.argument)
                named.update(act.argument.values())
        return frozenset(named)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a frame that the kit sends holds unless the scenario says otherwise."""

    initialize: Mapping[str, Any]
    params: Mapping[str, Mapping[str, Any]]
    input: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]


def defaults() -> Defaults:
    """Read scenarios/defaults.yaml."""
    path = files.path("protocol", "scenarios", "defaults.yaml")
    data = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    return Defaults(data["initialize"], data["params"], data["input"], tuple(data["required"]))


def load(pattern: str = "*", language: str = "", folder: Path | None = None) -> list[Scenario]:
    """The scenarios whose name fits the glob, in the order of their files and lines.

    `language` chooses among the rows of vectors/values.json. Raises UsageError naming the file
    and the scenario whose form is wrong.
    """
    source = folder or files.path("protocol", "scenarios")
    found: list[Scenario] = []
    for path in sorted(source.glob("*.yaml")):
        if path.name != "defaults.yaml":
            found += _read(path, language)
    names = [scenario.name for scenario in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two scenarios are called {name}")
    return [scenario for scenario in found if fnmatchcase(scenario.name, pattern)]


def _read(path: Path, language: str) -> Iterator[Scenario]:
    entries = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    if not isinstance(entries, list):
        raise UsageError(f"{path}: holds no list of scenarios")
    for entry in entries:
        try:
            yield from _expand(entry, path.stem, language)
        except (KeyError, TypeError, ValueError) as error:
            name = entry.get("name") if isinstance(entry, dict) else entry
            raise UsageError(f"{path}: scenario {name}: {error}") from error


def _expand(entry: Mapping[str, Any], theme: str, language: str) -> Iterator[Scenario]:
    unknown = set(entry) - KEYS
    if unknown:
        raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
    if not str(entry["name"]).startswith(f"{theme}/"):
        raise ValueError(f"its name must begin with the theme {theme}/")
    handshake = entry.get("handshake", {})
    script = tuple(_act(item) for item in entry["script"])
    for suffix, row in _rows(entry.get("each"), language):
        yield Scenario(
            name=f"{entry['name']}{suffix}",
            spec=str(entry["spec"]),
            script=script,
            needs=_words(entry.get("needs")),
            steps=_words(entry.get("steps")),
            fresh=bool(entry.get("fresh")) or handshake != {},
            handshake=None if handshake == "by hand" else dict(handshake),
            row=row,
        )


def _act(item: Any) -> Act:
    if not isinstance(item, dict) or len(item) != 1:
        raise ValueError(f"a line of a script is one `verb: argument`, not {item!r}")
    verb, argument = next(iter(item.items()))
    if verb not in VERBS:
        raise ValueError(f"unknown verb {verb!r}")
    return Act(verb, argument)


def _rows(each: Any, language: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The rows that a scenario is repeated for; "values" takes them from the vectors."""
    if each is None:
        return [("", {})]
    if each == "values":
        path = files.path("protocol", "vectors", "values.json")
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
        each = [
            {"case": case["case"], "format": case["format"], "value": case["value"]}
            for case in cases
            if language in case["from"]
        ]
    return [(f"[{next(iter(row.values()))}]", row) for row in each]


def _words(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"PATH"}:
            yield value["PATH"]
        for item in value.values():
            yield from _paths(item)
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item)
