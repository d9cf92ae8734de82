"""What a value has wrong, one sentence per place, without ever repeating the value itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from stepweave.steps import wording

__all__ = ["Issue", "dotted", "explain"]

Error = jsonschema_rs.ValidationError

SHOWN_OPTIONS = 12
PLAIN_KEY = re.compile(r"(?![\d-])[\w$-]+\Z")

FORMATS = {
    "date": "a date such as 2026-01-31",
    "date-time": "a date and time such as 2026-01-31T12:00:00Z",
    "time": "a time such as 12:00:00",
    "duration": "a duration such as PT15M",
    "email": "an email address",
    "hostname": "a host name",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "regex": "a regular expression",
    "uri": "an absolute URL",
    "uuid": "a UUID",
}
LIMITS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be greater than {}",
    "exclusiveMaximum": "must be less than {}",
    "minLength": "must have at least {} character{s}",
    "maxLength": "must have at most {} character{s}",
    "minItems": "must have at least {} item{s}",
    "maxItems": "must have at most {} item{s}",
    "minProperties": "must have at least {} field{s}",
    "maxProperties": "must have at most {} field{s}",
}
TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong with a value. `path` is like "pet.tags[0].name", "" for the whole value."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path} {self.message}" if self.path else self.message

    def to_json(self) -> dict[str, str]:
        """The form of an issue in a 400 answer."""
        return {"path": self.path, "message": self.message}


def dotted(path: Iterable[str | int]) -> str:
    """The path in one string: names joined by dots, indexes and odd names in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif PLAIN_KEY.match(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def explain(error: Error) -> Iterator[Issue]:
    """The issues that one failed keyword of a schema stands for."""
    name: str = error.kind.name
    facts: Mapping[str, Any] = error.kind.as_dict()
    path = list(error.instance_path)
    if name == "required":
        yield Issue(dotted([*path, facts["property"]]), "is required")
    elif name in ("additionalProperties", "unevaluatedProperties"):
        for key in facts["unexpected"]:
            yield Issue(dotted([*path, key]), "is not allowed")
    elif name in ("anyOf", "oneOf") and facts.get("context"):
        yield from _choice(error, facts["context"])
    elif name == "propertyNames":
        inner = facts["error"]
        key = inner.instance if isinstance(inner.instance, str) else ""
        yield Issue(dotted([*path, key]), "is not an allowed field name")
    else:
        yield Issue(dotted(path), _sentence(error, name, facts))


def _sentence(error: Error, name: str, facts: Mapping[str, Any]) -> str:
    if name == "type":
        return f"must be {_types(facts['types'])}, not {wording.a(error.instance)}"
    if name in LIMITS:
        limit = facts["limit"]
        return LIMITS[name].format(limit, s="" if limit == 1 else "s")
    if name == "enum":
        return f"must be {_options(facts['options'])}"
    if name == "const":
        return f"must be {_literal(facts['expected_value'])}"
    if name == "format":
        return f"must be {FORMATS.get(facts['format'], 'in the format ' + facts['format'])}"
    if name == "pattern":
        return f"must match the pattern {facts['pattern']}"
    if name == "multipleOf":
        return f"must be a multiple of {facts['multiple_of']}"
    if name == "uniqueItems":
        return "must not hold the same item twice"
    if name == "contains":
        return "holds too few items of the kind that the schema asks for"
    if name == "falseSchema" and list(error.schema_path)[-1:] == ["additionalProperties"]:
        return "has fields that are not allowed"
    if name in ("falseSchema", "not"):
        return "is not allowed"
    return "does not match the schema"


def _choice(error: Error, branches: list[list[Error]]) -> Iterator[Issue]:
    """Issues of a value that fits none of several schemas: those of the one it was meant for."""
    path = list(error.instance_path)
    meant = [branch for branch in branches if not any(_rules_out(each, path) for each in branch)]
    if all(not branch for branch in branches):
        yield Issue(dotted(path), "fits more than one of the forms that exclude each other")
        return
    if len(meant) == 1:
        for each in meant[0]:
            yield from explain(each)
        return
    common = _common(branches)
    if common:
        yield from common
        return
    tags = {dotted(each.instance_path): None for branch in branches for each in branch}
    values = _facts(branches, ("const", "enum"))
    types = _facts(branches, ("type",))
    if values is not None and len(tags) == 1:
        yield Issue(next(iter(tags)), f"must be {_options(values)}")
    elif types is not None and len(tags) == 1:
        place = next(iter(tags))
        value = branches[0][0].instance
        yield Issue(place, f"must be {_types(types)}, not {wording.a(value)}")
    else:
        yield Issue(dotted(path), f"fits none of the {len(branches)} allowed forms")


def _rules_out(error: Error, path: list[str | int]) -> bool:
    """Whether the error says that its branch was not meant: a wrong type, or a wrong tag in it."""
    depth = len(error.instance_path) - len(path)
    if error.kind.name in ("const", "enum"):
        return depth <= 1
    return bool(error.kind.name == "type" and depth == 0)


def _common(branches: list[list[Error]]) -> list[Issue]:
    """The issues that all branches share, such as a missing tag."""
    lists = [[issue for each in branch for issue in explain(each)] for branch in branches]
    return [issue for issue in lists[0] if all(issue in others for others in lists[1:])]


def _facts(branches: list[list[Error]], names: tuple[str, ...]) -> list[Any] | None:
    """What the branches ask for, if each of them fails by one keyword of those names alone."""
    found: list[Any] = []
    for branch in branches:
        if len(branch) != 1 or branch[0].kind.name not in names:
            return None
        facts = branch[0].kind.as_dict()
        found += facts.get("types") or facts.get("options") or [facts.get("expected_value")]
    return found


def _types(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(names))
    if "null" in unique:
        unique.remove("null")
        unique.append("null")
    return wording.listing(TYPES.get(name, name) for name in unique)


def _options(values: list[Any]) -> str:
    shown = [_literal(value) for value in values[:SHOWN_OPTIONS]]
    if len(values) > SHOWN_OPTIONS:
        return f"one of {', '.join(shown)} and {len(values) - SHOWN_OPTIONS} more"
    return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"


def _literal(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"
