"""One object of a config, read key by key, with every problem noted on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from stepweave.steps import keys, locate, wording
from stepweave.steps.frames import code_frame
from stepweave.steps.model import Found, Kind, Problem, Severity

__all__ = ["Notes", "Section"]


class Notes:
    """The problems of one file, each put at its line when the source is known."""

    def __init__(self, found: Found, source: str | None = None) -> None:
        self.found = found
        self.source = source
        self.problems: list[Problem] = []

    @property
    def failed(self) -> bool:
        """Whether an error was noted."""
        return any(problem.severity == "error" for problem in self.problems)

    def add(
        self,
        severity: Severity,
        code: str,
        message: str,
        *,
        key: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Note a problem; `key` is the path of the config key that it is about."""
        place = self._place(key)
        line, column = place if place is not None else (None, None)
        frame = None
        if self.source and line is not None:
            frame = code_frame(self.source, line, column)
        self.problems.append(
            Problem(severity, code, message, self.found.relpath, line, column, frame or None, hint)
        )

    def _place(self, key: str | None) -> locate.Position | None:
        if not self.source:
            return None
        found = locate.key(self.source, key) if key else None
        return found or locate.config(self.source)


class Section:
    """An object of a config, with typed access to its keys.

    A key of the wrong type is noted as an error and read as absent. Keys are camelCase here,
    whatever the author wrote.
    """

    def __init__(
        self,
        notes: Notes,
        value: Mapping[Any, Any],
        known: frozenset[str],
        *,
        path: str = "",
        kind: Kind | None = None,
    ) -> None:
        self.notes = notes
        self.path = path
        self.values, unknown, doubled = keys.normalised(value, known)
        for key in unknown:
            hint = keys.advice(key, known, kind)
            self.note("warning", "unknown_key", f"{self.at(key)} is not a known key", key, hint)
        for key in doubled:
            self.note(
                "warning",
                "doubled_key",
                f"{self.at(key)} is given twice",
                key,
                "keep one of the two spellings",
            )

    def at(self, key: str) -> str:
        """The key with its path, as a message names it."""
        return f"{self.path}.{key}" if self.path else key

    def note(
        self, severity: Severity, code: str, message: str, key: str, hint: str | None = None
    ) -> None:
        self.notes.add(severity, code, message, key=self.at(key), hint=hint)

    def error(self, code: str, message: str, key: str, hint: str | None = None) -> None:
        self.note("error", code, message, key, hint)

    def has(self, key: str) -> bool:
        """Whether the key is there; null counts as absent."""
        return self.values.get(key) is not None

    def missing(self, key: str, hint: str | None = None) -> None:
        self.error("missing_key", f"{self.at(key)} is missing from the config", key, hint)

    def wrong(self, key: str, expected: str, hint: str | None = None) -> None:
        found = wording.a(self.values[key])
        self.error("wrong_type", f"{self.at(key)} is {found}, not {expected}", key, hint)

    def text(
        self, key: str, *, required: bool = False, blank: bool = False, hint: str | None = None
    ) -> str | None:
        """A string, which is not blank unless `blank` allows it."""
        value = self.values.get(key)
        if value is None:
            if required:
                self.missing(key, hint)
            return None
        if not isinstance(value, str):
            self.wrong(key, "a string", hint)
            return None
        if not value.strip() and not blank:
            self.error("bad_value", f"{self.at(key)} is empty", key, hint)
            return None
        return value

    def texts(
        self, key: str, *, required: bool = False, hint: str | None = None
    ) -> tuple[str, ...]:
        """A list of strings that are not blank."""
        value = self.values.get(key)
        if value is None:
            if required:
                self.missing(key, hint)
            return ()
        if not isinstance(value, list | tuple):
            self.wrong(key, "a list of strings", hint)
            return ()
        for index, item in enumerate(value):
            if not isinstance(item, str):
                place = f"{self.at(key)}[{index}]"
                self.error("wrong_type", f"{place} is {wording.a(item)}, not a string", key, hint)
                return ()
            if not item.strip():
                self.error("bad_value", f"{self.at(key)}[{index}] is empty", key, hint)
                return ()
        return tuple(dict.fromkeys(value))

    def boolean(self, key: str) -> bool | None:
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.wrong(key, "true or false")
        return None

    def number(self, key: str, *, whole: bool = False) -> float | None:
        """A finite number, or a whole one; never a boolean."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(key, "a whole number" if whole else "a number")
            return None
        if not math.isfinite(value) or (whole and value != int(value)):
            shown = wording.quote(value)
            expected = "a whole number" if whole else "a number"
            self.error("wrong_type", f"{self.at(key)} is {shown}, not {expected}", key)
            return None
        return int(value) if whole else value

    def section(self, key: str) -> Section | None:
        """The object under the key, None when it is absent or not an object."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.wrong(key, "an object")
            return None
        path = self.at(key)
        inner = Section(self.notes, value, keys.NESTED[path], path=path)
        self.values[key] = inner.values
        return inner

    def item(self, key: str, index: int, value: Mapping[Any, Any]) -> Section:
        """An object that is an item of the list under the key."""
        return Section(self.notes, value, keys.NESTED[key], path=f"{self.at(key)}[{index}]")
