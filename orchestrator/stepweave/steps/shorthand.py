"""Schemas in shorthand: `{"id": "string", "tags": "string[]", "note?": "string"}`.

A config may describe its data with type words instead of a JSON Schema. This module tells the
two apart and turns the first into the second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stepweave.steps import wording
from stepweave.steps.issues import Issue, dotted
from stepweave.steps.keywords import is_json_schema

__all__ = ["WORDS", "is_json_schema", "to_json_schema"]

MAX_DEPTH = 64

WORDS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "object": {"type": "object"},
    "array": {"type": "array"},
    "null": {"type": "null"},
    "any": {},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
    "email": {"type": "string", "format": "email"},
    "url": {"type": "string", "format": "uri"},
    "file": {
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
    },
}
ALIASES = {
    "bool": "boolean",
    "date-time": "datetime",
    "dict": "object",
    "double": "number",
    "float": "number",
    "hash": "object",
    "int": "integer",
    "list": "array",
    "nil": "null",
    "none": "null",
    "str": "string",
    "unknown": "any",
    "uri": "url",
}
TOKEN = re.compile(r"\s*(\[\s*\]|[A-Za-z_][\w-]*|[|()?])")

Path = tuple[str | int, ...]


def to_json_schema(
    value: Any, *, required: bool, path: Path = ()
) -> tuple[bool | dict[str, Any] | None, list[Issue]]:
    """The JSON Schema of what an author wrote as a schema, and what could not be read of it.

    A JSON Schema comes back as it is, null as None (no schema). In shorthand, fields not marked
    with `?` are put on the `required` list if `required` says so; a field that cannot be read
    allows any value. Issues carry paths that begin with `path`. Never raises.
    """
    if value is None:
        return None, []
    reader = _Reader(required)
    return reader.schema(value, path)[0], reader.issues


class _Reader:
    """Reads one shorthand and collects what it does not understand."""

    def __init__(self, required: bool) -> None:
        self.required = required
        self.issues: list[Issue] = []

    def schema(self, value: Any, path: Path) -> tuple[bool | dict[str, Any], bool]:
        """The schema of one place, and whether it was marked optional ("string?")."""
        if len(path) > MAX_DEPTH:
            return self.give_up(path, "is nested too deeply"), False
        if isinstance(value, str):
            return self.words(value, path)
        if isinstance(value, Mapping):
            if is_json_schema(value):
                return dict(value), False
            return self.fields(value, path), False
        if isinstance(value, list | tuple):
            return self.items(value, path), False
        if isinstance(value, bool):
            return value, False
        if value is None:
            return dict(WORDS["null"]), False
        return self.give_up(path, f"is {wording.a(value)}, where a type belongs"), False

    def fields(self, value: Mapping[Any, Any], path: Path) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        needed = []
        for key, item in value.items():
            name = str(key)
            optional = len(name) > 1 and name.endswith("?")
            name = name[:-1] if optional else name
            properties[name], also_optional = self.schema(item, (*path, name))
            if not (optional or also_optional):
                needed.append(name)
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if self.required and needed:
            schema["required"] = needed
        return schema

    def items(self, value: list[Any] | tuple[Any, ...], path: Path) -> dict[str, Any]:
        if not value:
            return dict(WORDS["array"])
        if len(value) > 1:
            self.give_up(path, "lists several types; write one, such as ['string|number']")
            return dict(WORDS["array"])
        return {"type": "array", "items": self.schema(value[0], (*path, 0))[0]}

    def words(self, text: str, path: Path) -> tuple[dict[str, Any], bool]:
        """Reads "string", "string[]", "string|null", "(string|number)[]", "string?"."""
        tokens = _tokens(text)
        if tokens is None:
            return self.give_up(path, f"is {wording.quote(text)}, which is not a type"), False
        optional = tokens[-1] == "?"
        if optional:
            tokens.pop()
        schema = self.union(tokens, text, path)
        if schema is not None and tokens:
            schema = self.give_up(path, f"is {wording.quote(text)}, which is not a type")
        return ({} if schema is None else schema), optional

    def union(self, tokens: list[str], text: str, path: Path) -> dict[str, Any] | None:
        options = []
        while True:
            option = self.term(tokens, text, path)
            if option is None:
                return None
            options.append(option)
            if not tokens or tokens[0] != "|":
                return _any_of(options)
            tokens.pop(0)

    def term(self, tokens: list[str], text: str, path: Path) -> dict[str, Any] | None:
        word = tokens.pop(0) if tokens else ""
        if word == "(" and len(tokens) < MAX_DEPTH:
            schema = self.union(tokens, text, path)
            if schema is None:
                return None
            closed = bool(tokens) and tokens.pop(0) == ")"
            if not closed:
                self.give_up(path, f"is {wording.quote(text)}, which lacks a closing bracket")
                return None
        else:
            folded = word.lower()
            known = WORDS.get(ALIASES.get(folded, folded))
            if known is None:
                self.unknown(word or text, path)
                return None
            schema = dict(known)
        while tokens and tokens[0].startswith("["):
            tokens.pop(0)
            schema = {"type": "array", "items": schema}
        return schema

    def unknown(self, word: str, path: Path) -> None:
        meant = wording.closest(word, [*WORDS, *ALIASES])
        advice = f"did you mean {wording.quote(ALIASES.get(meant, meant))}" if meant else ""
        advice = advice or f"types are {wording.listing(WORDS, 'and')}"
        self.give_up(path, f"has the unknown type {wording.quote(word)}; {advice}")

    def give_up(self, path: Path, message: str) -> dict[str, Any]:
        """Note what is wrong and let the place hold anything."""
        self.issues.append(Issue(dotted(path[:MAX_DEPTH]), message))
        return {}


def _tokens(text: str) -> list[str] | None:
    """The words and signs of a type, or None if there are other characters in it."""
    tokens = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None:
            return None
        tokens.append(found[1])
        position = found.end()
    return tokens or None


def _any_of(options: list[dict[str, Any]]) -> dict[str, Any]:
    """One schema for any of several, in its shortest form."""
    unique = [each for index, each in enumerate(options) if each not in options[:index]]
    if len(unique) == 1:
        return unique[0]
    if {} in unique:
        return {}
    if all(set(each) == {"type"} for each in unique):
        return {"type": [each["type"] for each in unique]}
    return {"anyOf": unique}
