"""`validate: 'parse'`: what the schema objects of a config make of a request.

Pydantic models and type adapters, and through pydantic or msgspec dataclasses and other types. A
schema that is a dict has nothing to run: the orchestrator has checked it.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any

from stepweave_runner import errors
from stepweave_runner.errors import StepweaveError
from stepweave_runner.request import Request

__all__ = ["Parser", "apply", "parsers_of"]

_PARTS = (
    ("path", "pathParams", ("paramsSchema", "params_schema")),
    ("query", "queryParams", ("querySchema", "query_schema")),
    ("body", "body", ("bodySchema", "body_schema")),
)
_MOST_ISSUES = 100

Parser = tuple[str, str, Callable[[Any], Any]]
"""Where it looks, as an issue names it; the field of the request; what makes the new value."""


def parsers_of(config: Mapping[Any, Any]) -> list[Parser]:
    """What there is to run for a request, in the order of path, query, body."""
    found: list[Parser] = []
    for place, field, keys in _PARTS:
        schema = next((config[key] for key in keys if config.get(key) is not None), None)
        parse = _parser(schema)
        if parse is not None:
            found.append((place, field, parse))
    return found


def apply(parsers: list[Parser], request: Request) -> None:
    """Put the parsed values into the request. Raises invalid_input with every issue, and what a
    validator of the author's raises by mistake."""
    issues: list[dict[str, Any]] = []
    for place, field, parse in parsers:
        try:
            request[field] = parse(request[field])
        except Exception as error:
            if not _is_refusal(error):
                raise
            issues.extend({"in": place, **issue} for issue in _issues(error))
    if issues:
        listed = {"issues": issues[:_MOST_ISSUES]}
        raise StepweaveError("invalid_input", "the request does not fit its schemas", listed)


def _parser(schema: Any) -> Callable[[Any], Any] | None:
    if schema is None or isinstance(schema, Mapping):
        return None
    for name in ("model_validate", "validate_python", "parse_obj"):
        parse = getattr(schema, name, None)
        if callable(parse):
            return typing.cast("Callable[[Any], Any]", parse)
    if not isinstance(schema, type) and typing.get_origin(schema) is None:
        return None
    if not hasattr(schema, "__struct_fields__"):
        try:
            from pydantic import TypeAdapter  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            pass
        else:
            return _adapted(TypeAdapter, schema)
    try:
        import msgspec  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    convert = msgspec.convert
    return lambda value: convert(value, type=schema)


def _adapted(adapter: Any, schema: Any) -> Callable[[Any], Any] | None:
    """None for what pydantic cannot use; the author was told when the config was converted."""
    try:
        return typing.cast("Callable[[Any], Any]", adapter(schema).validate_python)
    except Exception:
        return None


def _is_refusal(error: Exception) -> bool:
    """Whether a library says that a value does not fit."""
    return type(error).__name__ == "ValidationError"


def _issues(error: Exception) -> list[dict[str, Any]]:
    listing = getattr(error, "errors", None)
    if not callable(listing):
        return [{"path": [], "message": errors.message_of(error)}]
    return [
        {
            "path": [part if isinstance(part, int) else str(part) for part in each.get("loc", ())],
            "message": str(each.get("msg", "")),
        }
        for each in listing()
    ]
