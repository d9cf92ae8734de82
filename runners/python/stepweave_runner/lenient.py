"""JSON Schemas of pydantic models that parse: they refuse nothing that the model itself would take.

A validator that runs before the model's own checks may take anything, a field may go by several
names. The model decides about such input; everything else is still refused before a call is made.
"""

from __future__ import annotations

import functools
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
            made: dict[str, Any] = super().model_schema(schema)
            model = schema["cls"]
            if _has_other_names(model):
                plain = {name for name, it in model.model_fields.items() if _is_plain(it)}
                required = [name for name in made.pop("required", ()) if name in plain]
                if required:
                    made["required"] = required
                if made.get("additionalProperties") is False:
                    del made["additionalProperties"]
            return made

        def _input(self, schema: Any) -> dict[str, Any]:
            said = schema.get("json_schema_input_schema")
            return self.generate_inner(said) if said else {}

    return Lenient


def _is_plain(field: Any) -> bool:
    """Whether it goes by its name alone."""
    return field.validation_alias is None


def _has_other_names(model: Any) -> bool:
    """Whether a field may come under another name than the one that JSON Schema shows."""
    config = model.model_config
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    aliases = [it.validation_alias for it in model.model_fields.values() if not _is_plain(it)]
    return bool(aliases and by_name) or any(not isinstance(it, str) for it in aliases)
