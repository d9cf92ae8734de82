"""Schemas in a config: pydantic models, dataclasses, TypedDicts and msgspec structs to JSON Schema.

What is a dict already, JSON Schema or shorthand, stays as it is: the orchestrator reads it.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from stepweave_runner import errors, lenient, parsing, values

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
    What such a schema changes before it checks is not checked before.
    """
    warnings: list[str] = []
    if parsed and isinstance(config, Mapping):
        config = dict(_before_parsing(config))
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


def _before_parsing(config: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """The config's parts, without the schemas of the input that run and have no JSON Schema."""
    for key, item in config.items():
        value = item
        if key in parsing.KEYS and _is_schema(item):
            try:
                value = _schema(item, parsed=True)
            except Exception:
                if parsing.parser_of(item) is not None:
                    continue
        yield key, value


def _is_schema(value: Any) -> bool:
    return (
        isinstance(value, type)
        or hasattr(value, "json_schema")  # pydantic's TypeAdapter
        or typing.get_origin(value) is not None  # list[Model], Model | None
    )


def _schema(value: Any, parsed: bool = False) -> Any:
    """Its JSON Schema; `parsed`: of what it takes when it runs. Raises what the library does."""
    for name in ("model_json_schema", "json_schema"):
        if callable(make := getattr(value, name, None)):
            return make(**lenient.options(value)) if parsed else make()
    if hasattr(value, "__fields__") and callable(getattr(value, "schema", None)):
        return value.schema()  # pydantic 1
    if hasattr(value, "__struct_fields__"):
        return _msgspec(value)
    try:
        from pydantic import TypeAdapter  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return _msgspec(value)
    return _schema(TypeAdapter(value), parsed)


def _msgspec(value: Any) -> Any:
    try:
        import msgspec  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise TypeError(
            f"it takes pydantic or msgspec; {sys.executable} -m pip install pydantic"
        ) from None
    return msgspec.json.schema(value)
