"""The texts of a query or a path as the types that their schema asks for: "2" becomes 2."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["coerced", "resolved"]

Schema = Mapping[str, Any]

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,17})", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_DEEPEST = 16


def coerced(values: Mapping[str, Any], schema: Any) -> dict[str, Any]:
    """The values, which are texts or lists and objects of texts, in the types of an object schema.

    Where a text is allowed it stays one; what cannot be read as another type stays as well, for
    the schema to refuse. Missing fields get their `default`.
    """
    found = _convert(values, schema, schema, 0)
    return found if isinstance(found, dict) else dict(values)


def resolved(schema: Any, root: Any) -> Any:
    """The schema that a chain of local `$ref`s leads to; what leads nowhere is anything."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping) or not isinstance(schema.get("$ref"), str):
            return schema
        place = schema["$ref"]
        if not place.startswith("#"):
            return {}
        schema = root
        for part in place[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            schema = schema.get(name) if isinstance(schema, Mapping) else None
    return {}


def _convert(value: Any, schema: Any, root: Any, depth: int) -> Any:
    choices = list(_choices(schema, root, depth)) if depth < _DEEPEST else []
    if isinstance(value, str):
        return _text(value, choices, root, depth)
    if isinstance(value, list):
        items = _first(choices, "items")
        return [_convert(item, items, root, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return _object(value, choices, root, depth)
    return value


def _object(
    value: Mapping[str, Any], choices: list[Schema], root: Any, depth: int
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for each in choices:
        if isinstance(each.get("properties"), Mapping):
            fields = {**each["properties"], **fields}
    others = _first(choices, "additionalProperties")
    result = {
        name: _convert(item, fields.get(name, others), root, depth + 1)
        for name, item in value.items()
    }
    for name in fields.keys() - result.keys():
        for field in (fields[name], resolved(fields[name], root)):
            if isinstance(field, Mapping) and "default" in field:
                result[name] = copy.deepcopy(field["default"])
                break
    return result


def _text(text: str, choices: list[Schema], root: Any, depth: int) -> Any:
    types = {name for each in choices for name in _types(each)}
    if not types or "string" in types:
        return text
    if "integer" in types and _WHOLE.fullmatch(text):
        return int(text)
    if "number" in types and _NUMBER.fullmatch(text):
        number = int(text) if _WHOLE.fullmatch(text) else float(text)
        return number if math.isfinite(number) else text
    if "boolean" in types and text in _BOOLEANS:
        return _BOOLEANS[text]
    if "null" in types and text == "":
        return None
    if "array" in types:
        return [_convert(text, _first(choices, "items"), root, depth + 1)]
    return text


def _choices(schema: Any, root: Any, depth: int) -> Iterator[Schema]:
    """The schema and those that it is combined of."""
    schema = resolved(schema, root)
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    yield schema
    for key in ("allOf", "anyOf", "oneOf"):
        parts = schema.get(key)
        for part in parts if isinstance(parts, list) else ():
            yield from _choices(part, root, depth + 1)


def _types(schema: Schema) -> Iterator[str]:
    given = schema.get("type")
    if isinstance(given, str):
        yield given
    elif isinstance(given, list):
        yield from (name for name in given if isinstance(name, str))
    else:
        values = schema["enum"] if isinstance(schema.get("enum"), list) else ()
        for value in [*values, schema["const"]] if "const" in schema else values:
            yield _type_of(value)


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "object"


def _first(choices: list[Schema], key: str) -> Any:
    return next((each[key] for each in choices if key in each), None)
