"""The schemas of an OpenAPI document: shared ones once, every local $ref leading to its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson

__all__ = ["Components"]

_ROOT = "#/components/schemas/"
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_DEFS = re.compile(r"#/(?:\$defs|definitions)/([^/]+)")


class Components:
    """Collects the schemas that repeat or refer to themselves.

    Tell it of all schemas with `count` first, then `place` each of them. `schemas` is what
    belongs under components.
    """

    def __init__(self, **schemas: Any) -> None:
        self.schemas: dict[str, Any] = dict(schemas)
        self._counts: Counter[bytes] = Counter()
        self._names: dict[bytes, str] = {}

    def count(self, schema: Any) -> None:
        """Note that a schema is used once more, and so are those in it that may be shared."""
        if isinstance(schema, Mapping) and _sharable(schema):
            self._counts[_key(schema)] += 1

    def place(self, schema: Any, name: str) -> Any:
        """The schema as it stands in the document: itself, or a reference to a shared one."""
        if not isinstance(schema, Mapping):
            return schema
        key = _key(schema)
        known = self._names.get(key)
        if known is not None:
            return {"$ref": _ROOT + known}
        if self._counts[key] > 1 or _refers_inwards(schema):
            known = self._new(schema.get("title"), name)
            self._names[key] = known
            self.schemas[known] = {}
            self.schemas[known] = self._moved(schema, f"{_ROOT}{known}", name)
            return {"$ref": _ROOT + known}
        return self._moved(schema, None, name)

    def _moved(self, schema: Mapping[str, Any], home: str | None, name: str) -> dict[str, Any]:
        """A copy without its definitions, which become components of their own."""
        places: dict[str, str] = {}
        given = {**_map(schema, "definitions"), **_map(schema, "$defs")}
        waiting = []
        for inner, part in given.items():
            key = _key({"$defs": given, "part": part})
            known = self._names.get(key)
            if known is None:
                title = part.get("title") if isinstance(part, Mapping) else None
                known = self._new(title, f"{name}_{inner}" if inner.startswith("_") else inner)
                self._names[key] = known
                self.schemas[known] = {}
                waiting.append((known, part))
            places[inner] = known
        for known, part in waiting:
            self.schemas[known] = _rewritten(part, places, home)
        kept = {k: v for k, v in schema.items() if k not in ("$schema", "$defs", "definitions")}
        result: dict[str, Any] = _rewritten(kept, places, home)
        return result

    def _new(self, title: Any, name: str) -> str:
        """A free name for a component."""
        first = _NAME.sub("", title) if isinstance(title, str) else ""
        first = first or _NAME.sub("_", name).strip("_") or "Schema"
        taken, number = first, 2
        while taken in self.schemas:
            taken, number = f"{first}{number}", number + 1
        return taken


def _sharable(schema: Mapping[str, Any]) -> bool:
    """Whether a schema says enough to deserve a name."""
    return bool(schema.get("properties")) or "$ref" in schema or "anyOf" in schema


def _refers_inwards(schema: Any) -> bool:
    """Whether a schema refers to a place in itself other than its definitions."""
    if isinstance(schema, Mapping):
        place = schema.get("$ref")
        if isinstance(place, str) and place.startswith("#") and not _DEFS.fullmatch(place):
            return True
        return any(_refers_inwards(inner) for inner in schema.values())
    return isinstance(schema, list) and any(map(_refers_inwards, schema))


def _rewritten(schema: Any, places: Mapping[str, str], home: str | None) -> Any:
    if isinstance(schema, list):
        return [_rewritten(inner, places, home) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    renewed = _renewed(schema)
    result = {key: _rewritten(inner, places, home) for key, inner in renewed.items()}
    place = schema.get("$ref")
    if isinstance(place, str):
        found = _DEFS.match(place)
        target = places.get(_unescaped(found[1])) if found is not None else None
        if found is not None and target is not None:
            result["$ref"] = _ROOT + target + place[found.end() :]
        elif home is not None and place.startswith("#"):
            result["$ref"] = home + place[1:]
    return result


def _renewed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A list of fixed items as OpenAPI's dialect says it; up to draft 2019-09 they were `items`."""
    items = schema.get("items")
    if not isinstance(items, list) or not all(isinstance(each, Mapping | bool) for each in items):
        return schema
    old = {"items": "prefixItems", "additionalItems": "items"}
    return {old.get(key, key): inner for key, inner in schema.items()}


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _map(schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = schema.get(key)
    return value if isinstance(value, Mapping) else {}


def _key(schema: Any) -> bytes:
    return orjson.dumps(schema, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
