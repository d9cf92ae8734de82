"""JSON Schema as TypeScript types, in one line each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from stepweave.steps.coercion import resolved

__all__ = ["Field", "literal", "of_fields", "of_schema", "union"]

_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_WORDS = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "null": "null",
}
_DEEPEST = 12
"""Levels below which a type is `unknown`; schemas that refer to themselves end there."""

Field = tuple[str, str, bool]
"""A property: its name, its type, and whether it may be absent."""


def of_schema(schema: Any, *, defaults: bool = False) -> str:
    """The type of what a schema allows; `unknown` for what TypeScript cannot say.

    With `defaults` a property that has one is always there, as in what was read by the schema.
    """
    return _Writer(schema, defaults).type(schema, 0)


def of_fields(fields: Iterable[Field]) -> str:
    """An object type."""
    told = "; ".join(
        f"{_key(name)}{'?' if absent else ''}: {kind}" for name, kind, absent in fields
    )
    return f"{{ {told} }}" if told else "{}"


def literal(value: Any) -> str:
    """A value as a type of its own."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if _is_plain(value) else "unknown"
    inner = json.dumps(value, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"


def union(types: Iterable[str]) -> str:
    """Any of several types."""
    found = list(dict.fromkeys(types))
    if "unknown" in found:
        return "unknown"
    return " | ".join(found) or "never"


class _Writer:
    def __init__(self, root: Any, defaults: bool) -> None:
        self._root = root
        self._defaults = defaults

    def type(self, schema: Any, depth: int) -> str:
        if isinstance(schema, bool):
            return "unknown" if schema else "never"
        schema = resolved(schema, self._root)
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return "unknown"
        parts = [self._own(schema, depth)]
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list):
                parts += [union(self.type(each, depth + 1) for each in schema[key])]
        if isinstance(schema.get("allOf"), list):
            parts += [self.type(each, depth + 1) for each in schema["allOf"]]
        told = [part for part in dict.fromkeys(parts) if part != "unknown"]
        if len(told) > 1:
            return " & ".join(f"({part})" if " | " in part else part for part in told)
        return told[0] if told else "unknown"

    def _own(self, schema: Mapping[str, Any], depth: int) -> str:
        """The type without what the schema is combined of."""
        if "const" in schema:
            return literal(schema["const"])
        if isinstance(schema.get("enum"), list):
            return union(literal(value) for value in schema["enum"])
        given = schema.get("type")
        if given is None:
            given = "object" if "properties" in schema else "array" if "items" in schema else None
        names = given if isinstance(given, list) else [given]
        return union(self._word(name, schema, depth) for name in names)

    def _word(self, name: Any, schema: Mapping[str, Any], depth: int) -> str:
        if name == "object":
            return self._object(schema, depth)
        if name == "array":
            return self._array(schema, depth)
        return _WORDS.get(name, "unknown")

    def _object(self, schema: Mapping[str, Any], depth: int) -> str:
        properties = schema.get("properties")
        others = schema.get("additionalProperties", True)
        if not isinstance(properties, Mapping) or not properties:
            return f"Record<string, {self.type(others, depth + 1)}>"
        required = schema.get("required")
        needed = set(required) if isinstance(required, list) else set()
        fields = []
        for name, field in properties.items():
            there = name in needed or (self._defaults and _has_default(field, self._root))
            fields.append((str(name), self.type(field, depth + 1), not there))
        return of_fields(fields)

    def _array(self, schema: Mapping[str, Any], depth: int) -> str:
        first = schema.get("prefixItems")
        if isinstance(first, list):
            told = [self.type(each, depth + 1) for each in first]
            if schema.get("items") is not False:
                told.append(f"...{self._list(schema.get('items', True), depth)}")
            return f"[{', '.join(told)}]"
        return self._list(schema.get("items", True), depth)

    def _list(self, items: Any, depth: int) -> str:
        inner = self.type(items, depth + 1)
        return f"({inner})[]" if " | " in inner or " & " in inner else f"{inner}[]"


def _has_default(field: Any, root: Any) -> bool:
    return any(
        isinstance(each, Mapping) and "default" in each for each in (field, resolved(field, root))
    )


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else literal(name)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float)
