"""Checking values against JSON Schema 2020-12: all issues at once, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NoReturn, Protocol

import jsonschema_rs

from stepweave.errors import StepweaveError
from stepweave.steps.formats import FORMATS
from stepweave.steps.issues import Issue, dotted, explain

__all__ = ["SchemaError", "Validator"]

JsonSchema = bool | dict[str, Any]


class SchemaError(StepweaveError):
    """A schema that cannot be used; `path` leads to the place in it."""

    code = "bad_schema"

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path} {message}" if path else message)
        self.path = path
        self.reason = message


class _Compiled(Protocol):
    def is_valid(self, instance: Any) -> bool: ...
    def iter_errors(self, instance: Any) -> Any: ...


class Validator:
    """A JSON Schema with its compiled form, which is made once, when first needed.

    Two validators with equal schemas are equal. `schema` must not be changed.
    """

    __slots__ = ("_compiled", "schema")

    def __init__(self, schema: JsonSchema) -> None:
        self.schema = schema
        self._compiled: _Compiled | None = None

    def compiled(self) -> _Compiled:
        """The compiled schema. Raises SchemaError if it is not valid or wants a remote $ref."""
        if self._compiled is None:
            self._compiled = _compile(self.schema)
        return self._compiled

    def is_valid(self, value: Any) -> bool:
        """Whether the value fits. Raises SchemaError as `compiled` does."""
        try:
            return (self._compiled or self.compiled()).is_valid(value)
        except ValueError:
            return not self.issues(value)

    def issues(self, value: Any, limit: int = 100) -> list[Issue]:
        """What is wrong with the value, at most `limit` places; empty when it fits.

        Bytes count as strings of the same length, as in `format: binary`.
        Raises SchemaError as `compiled` does.
        """
        compiled = self.compiled()
        try:
            try:
                errors = list(islice(compiled.iter_errors(value), limit))
            except ValueError:
                errors = list(islice(compiled.iter_errors(_plain(value)), limit))
        except (ValueError, RecursionError):
            return [Issue("", "cannot be checked: it is nested too deeply")]
        found = dict.fromkeys(issue for error in errors for issue in explain(error))
        return list(found)[:limit]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Validator) and self.schema == other.schema

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Validator({self.schema!r})"


def _compile(schema: JsonSchema) -> _Compiled:
    try:
        return jsonschema_rs.validator_for(
            schema,
            validate_formats=True,
            retriever=_refuse,
            formats=FORMATS,
        )
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(_why(error), dotted(error.instance_path)) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise SchemaError(f"cannot be read: {_short(str(error))}") from error


def _why(error: jsonschema_rs.ValidationError) -> str:
    if error.kind.name == "$ref":
        return f"refers to a schema that is not part of it: {_short(error.message)}"
    if error.kind.name == "format":
        return "is not a regular expression"
    said = "; ".join(issue.message for issue in explain(error))
    if error.instance_path and error.instance_path[-1] == "type":
        return "is not a JSON Schema type"
    return said or _short(error.message)


def _short(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= 200 else f"{line[:200]}…"


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"nothing is fetched from the network or the disk ({uri})")


def _plain(value: Any) -> Any:
    """A copy that the validator can read: bytes as strings, keys as strings."""
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("latin-1")
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)
