"""Schemas in a config: pydantic models, dataclasses, TypedDicts and msgspec structs to JSON Schema.

What is a dict already, JSON Schema or shorthand, stays as it is: the orchestrator reads it.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Mapping
from typing import Any

from stepweave_runner import errors, parsing, values

__all__ = ["convert"]

# Types as words of the shorthand, for those who write {"id": str}.
_WORDS: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    None.__class__: "null",
}
_LEFT_OUT = object()


def convert(config: Any, *, parsed: bool = False) -> tuple[Any, list[str]]:
    """The config as plain values, and what the author should know about it.

    Functions are left out. A schema that cannot be converted is left out with a warning, so
    the step runs without that check; with none where the input is `parsed` by the schema itself.
    """
    warnings: list[str] = []
    if parsed and isinstance(config, Mapping):
        config = {key: item for key, item in config.items() if not _only_runs(str(key), item)}
    converted = _convert(config, [], warnings)
    return (None if converted is _LEFT_OUT else converted), warnings


def _convert(value: Any, path: list[str], warnings: list[str]) -> Any:
    if isinstance(value, Mapping):
        pairs = [(str(key), item) for key, item in value.items()]
        fields = {key: _convert(item, [*path, key], warnings) for key, item in pairs}
        return {key: item for key, item in fields.items() if item is not _LEFT_OUT}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        items = [_convert(item, [*path, str(index)], warnings) for index, item in enumerate(value)]
        return [item for item in items if item is not _LEFT_OUT]
    try:
        if isinstance(value, typing.Hashable) and value in _WORDS:
            return _WORDS[value]
    except TypeError:
        pass
    if _is_schema(value):
        try:
            return _schema(value)
        except Exception as error:
            reason = errors.message_of(error).partition("\n")[0]
            name = getattr(value, "__name__", None) or type(value).__name__
            warnings.append(
                f"{'.'.join(path)}: {name} could not be converted to JSON Schema, so nothing is "
                f"checked against it: {reason}"
            )
            return _LEFT_OUT
    if callable(value):
        return _LEFT_OUT
    try:
        simpler = values.simplify(value)
    except Exception:
        simpler = value
    if simpler is value and not isinstance(value, (str, int, float, type(None))):
        warnings.append(f"{'.'.join(path)}: a {type(value).__name__} has no form in a config")
        return _LEFT_OUT
    return _convert(simpler, path, warnings) if type(simpler) is not type(value) else simpler


def _only_runs(key: str, value: Any) -> bool:
    """Whether a schema of the input can be run and has no JSON Schema."""
    if key not in parsing.KEYS or not _is_schema(value):
        return False
    try:
        _schema(value)
    except Exception:
        return parsing.parser_of(value) is not None
    return False


def _is_schema(value: Any) -> bool:
    return (
        isinstance(value, type)
        or hasattr(value, "json_schema")  # pydantic's TypeAdapter
        or typing.get_origin(value) is not None  # list[Model], Model | None
    )


def _schema(value: Any) -> Any:
    if callable(getattr(value, "model_json_schema", None)):
        return value.model_json_schema()
    if callable(getattr(value, "json_schema", None)):
        return value.json_schema()
    if hasattr(value, "__fields__") and callable(getattr(value, "schema", None)):
        return value.schema()  # pydantic 1
    if hasattr(value, "__struct_fields__"):
        return _msgspec(value)
    try:
        from pydantic import TypeAdapter  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return _msgspec(value)
    return TypeAdapter(value).json_schema()


def _msgspec(value: Any) -> Any:
    try:
        import msgspec  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise TypeError(
            f"it takes pydantic or msgspec; {sys.executable} -m pip install pydantic"
        ) from None
    return msgspec.json.schema(value)
