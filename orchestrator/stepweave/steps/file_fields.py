"""Which fields of a body's schema are files of a form: `format: binary`, or a list of those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stepweave.steps.coercion import resolved

__all__ = ["file_fields", "needs_form", "takes_files", "with_files"]


def file_fields(schema: Any) -> dict[str, bool]:
    """The names of the fields that are files, and whether each is a list of them."""
    return {name: is_list for name, is_list, _ in _fields(schema)}


def takes_files(schema: Any) -> bool:
    """Whether a field can be nothing else than a file.

    `format: binary` alone may be text as well; it is what pydantic says of bytes.
    """
    return any(_surely(field) for _, _, field in _fields(schema))


def needs_form(schema: Any) -> bool:
    """Whether a required field can be nothing else than a file, so that JSON will not do."""
    top = resolved(schema, schema)
    required = top.get("required") if isinstance(top, Mapping) else None
    if not isinstance(required, list):
        return False
    return any(name in required and _surely(field) for name, _, field in _fields(schema))


def with_files(schema: Any, fields: Any, files: Mapping[str, list[tuple[str, int]]]) -> Any:
    """The fields of a form as the schema sees them: a file stands there by its name.

    `files` are names and sizes by field. Where the schema limits a length, which is meant of what
    is in the file, a text of that length stands there. Text in the place of a file does not count.
    """
    if not isinstance(fields, Mapping):
        return fields
    known = {name: (is_list, field) for name, is_list, field in _fields(schema)}
    seen = {name: value for name, value in fields.items() if name not in known}
    for name, given in files.items():
        if name in known:
            is_list, field = known[name]
            shown = [_shown(field, *file) for file in given]
            seen[name] = shown if is_list or len(shown) > 1 else shown[0]
    return seen


def _shown(field: Mapping[str, Any], name: str, size: int) -> str:
    limits = [field[key] for key in ("minLength", "maxLength") if isinstance(field.get(key), int)]
    return "x" * min(size, max(limits) + 1) if limits else name


def _surely(field: Mapping[str, Any]) -> bool:
    return "contentMediaType" in field or field.get("contentEncoding") == "binary"


def _fields(schema: Any) -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
    top = resolved(schema, schema)
    properties = top.get("properties") if isinstance(top, Mapping) else None
    if not isinstance(properties, Mapping):
        return
    for name, field in properties.items():
        one = resolved(field, schema)
        is_list = isinstance(one, Mapping) and one.get("type") == "array"
        if is_list:
            one = resolved(one.get("items"), schema)
        if isinstance(one, Mapping) and one.get("format") == "binary":
            yield name, is_list, one
