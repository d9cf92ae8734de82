"""JSON Schemas of pydantic models that parse: they refuse nothing that the model itself would take.

A validator that runs before the model's own checks may take anything, a field may go by several
names. The model decides about such input; everything else is still refused before a call is made.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

__all__ = ["options"]


def options(schema: Any) -> dict[str, Any]:
    """What to hand to the schema's own method; nothing unless it is pydantic's."""
    line = (schema if isinstance(schema, type) else type(schema)).__mro__
    if not any(each.__module__.partition(".")[0] == "pydantic" for each in line):
        return {}
    return {"schema_generator": _generator()}


@functools.cache
def _generator() -> type[Any]:
    from pydantic.json_schema import GenerateJsonSchema

    class Lenient(GenerateJsonSchema):
        """Asks nothing of what a validator takes first, unless the author said what that is."""

        def function_before_schema(self, schema: Any) -> dict[str, Any]:
            return self._input(schema)

        def function_wrap_schema(self, schema: Any) -> dict[str, Any]:
            return self._input(schema)

        def model_schema(self, schema: Any) -> dict[str, Any]:
            model = schema["cls"]
            return _loosened(super().model_schema(schema), model.model_config, model.model_fields)

        def dataclass_schema(self, schema: Any) -> dict[str, Any]:
            config = getattr(schema["cls"], "__pydantic_config__", {})
            fields = getattr(schema["cls"], "__pydantic_fields__", {})
            return _loosened(super().dataclass_schema(schema), config, fields)

        def _input(self, schema: Any) -> dict[str, Any]:
            said = schema.get("json_schema_input_schema")
            return self.generate_inner(said) if said else {}

    return Lenient


def _loosened(
    made: dict[str, Any], config: Mapping[str, Any], fields: Mapping[str, Any]
) -> dict[str, Any]:
    """The schema, if a field may come under another name than the one shown, with room for that."""
    plain = {name for name, field in fields.items() if field.validation_alias is None}
    aliases = [field.validation_alias for name, field in fields.items() if name not in plain]
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    if aliases and (by_name or not all(isinstance(alias, str) for alias in aliases)):
        required = [name for name in made.pop("required", ()) if name in plain]
        if required:
            made["required"] = required
        if made.get("additionalProperties") is False:
            del made["additionalProperties"]
    return made
