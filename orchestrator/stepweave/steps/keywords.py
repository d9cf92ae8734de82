"""Telling a JSON Schema from fields that happen to have the names of its keywords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["is_json_schema"]

TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
BASIC_WORDS = TYPES | {"any"}
MAX_DEPTH = 64

# Keywords whose value is one schema, a map of schemas, or a list of schemas.
ONE = frozenset(
    "items additionalProperties unevaluatedItems unevaluatedProperties additionalItems "
    "propertyNames contains not if then else contentSchema".split()
)
MAPS = frozenset("properties patternProperties dependentSchemas definitions".split())
LISTS = frozenset("anyOf oneOf allOf prefixItems".split())
DOLLAR = frozenset(
    "$ref $schema $id $defs $anchor $dynamicRef $dynamicAnchor "
    "$recursiveRef $recursiveAnchor".split()
)
LIMITS = frozenset(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems "
    "maxItems minProperties maxProperties minContains maxContains".split()
)
# Keywords that say nothing alone about whether this is a schema.
NOTES = frozenset(
    "title description default example examples deprecated readOnly writeOnly format pattern "
    "contentEncoding contentMediaType discriminator xml externalDocs nullable dependentRequired "
    "dependencies uniqueItems".split()
)
TEXTS = frozenset({"title", "description", "format", "pattern"})
ALL = ONE | MAPS | LISTS | LIMITS | NOTES | {"type", "enum", "const", "required"}


def is_json_schema(value: Mapping[Any, Any], depth: int = 0) -> bool:
    """Whether an object is a JSON Schema and not fields in shorthand.

    It is one if it has a `$` keyword, or a keyword that only schemas have with the form that the
    keyword asks for, or a `type` that JSON Schema knows, and in the last two cases no key that
    is not a keyword. So `{"type": "string"}` is a schema and `{"type": "string", "text":
    "string"}` are two fields; so are `{"type": "string", "title": "string"}`, whose title
    would be an odd one. An empty object is the schema that allows anything.
    """
    if not value:
        return True
    if depth > MAX_DEPTH:
        return False
    keys = {str(key) for key in value}
    if keys & DOLLAR:
        return True
    if "type" in keys and _names_types(value["type"]) and isinstance(value.get("properties"), dict):
        return True
    if any(key not in ALL and not key.startswith(("x-", "~", "$")) for key in keys):
        return False
    if any(_says_schema(key, value[key], depth) for key in keys if key in value):
        return True
    if not _names_types(value.get("type")):
        return False
    return not any(key in TEXTS and value.get(key) in BASIC_WORDS for key in keys)


def _names_types(value: Any) -> bool:
    if isinstance(value, str):
        return value in TYPES
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, str) and item in TYPES for item in value)
    )


def _says_schema(key: str, value: Any, depth: int) -> bool:
    """Whether the keyword has the form that it has in a schema and not in shorthand."""
    if key in ONE:
        return _is_schema(value, depth)
    if key in MAPS:
        return isinstance(value, Mapping) and all(_is_schema(v, depth) for v in value.values())
    if key in LISTS:
        return isinstance(value, list) and bool(value) and all(_is_schema(v, depth) for v in value)
    if key in LIMITS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if key == "enum":
        return isinstance(value, list)
    if key == "required":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return key == "const"


def _is_schema(value: Any, depth: int) -> bool:
    if isinstance(value, bool):
        return True
    return isinstance(value, Mapping) and is_json_schema(value, depth + 1)
