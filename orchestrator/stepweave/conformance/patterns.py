"""Patterns: what a scenario sends, and how what arrives is compared with what it expects.

A pattern is plain YAML. In an expectation a map is a subset, a list is compared in full, and
the forms of protocol/scenarios/README.md stand for more than themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

__all__ = ["FORMS", "Scope", "build", "form_of"]

FORMS = frozenset(
    {
        "ALL",
        "BETWEEN",
        "BYTES",
        "CONTAINS",
        "FIRST",
        "HAS",
        "HEX",
        "JSON",
        "JSON_SUBSET",
        "MSGPACK",
        "ONE_OF",
        "PATH",
        "REPEAT",
        "TEXT",
        "TYPE",
        "VALUE",
    }
)
"""The names that make a map with one key a form."""


class Scope:
    """What patterns may refer to: bound names and the project's paths."""

    def __init__(self, path: Callable[[str], str], bound: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.bound = dict(bound or {})

    def copy(self) -> Scope:
        """A scope of its own with the same names, for a comparison that may fail."""
        return Scope(self.path, self.bound)


def build(pattern: Any, scope: Scope) -> Any:
    """The value that a pattern describes, for sending. Raises ValueError if it describes none."""
    if isinstance(pattern, str) and pattern.startswith("$"):
        name = pattern[1:]
        if name not in scope.bound:
            raise ValueError(f"{pattern} is not bound yet")
        return build(scope.bound[name], scope)
    if isinstance(pattern, list | tuple):
        return [build(item, scope) for item in pattern]
    if not isinstance(pattern, dict):
        return pattern
    form = form_of(pattern)
    if form is None:
        return {key: build(item, scope) for key, item in pattern.items() if item != "ABSENT"}
    argument = pattern[form]
    if form == "JSON":
        return ["json", json.dumps(build(argument, scope), ensure_ascii=False).encode()]
    if form == "MSGPACK":
        return ["msgpack", msgpack.packb(build(argument, scope))]
    if form == "TEXT":
        return ["text", str(build(argument, scope)).encode()]
    if form == "BYTES":
        return ["bytes", bytes.fromhex(argument)]
    if form == "HEX":
        return bytes.fromhex(argument)
    if form == "PATH":
        return scope.path(argument)
    if form == "REPEAT":
        return str(argument[0]) * int(build(argument[1], scope))
    raise ValueError(f"{form} cannot be sent")


def form_of(pattern: Mapping[str, Any]) -> str | None:
    """The form that a map is, or None if it is just a map."""
    if len(pattern) != 1:
        return None
    key = next(iter(pattern))
    return key if key in FORMS else None
