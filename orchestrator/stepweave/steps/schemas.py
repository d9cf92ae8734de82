"""The schemas in a config: any form that an author may write, as a Validator."""

from __future__ import annotations

from collections.abc import Mapping

from stepweave.steps import shorthand
from stepweave.steps.keywords import is_json_schema
from stepweave.steps.schema import SchemaError, Validator
from stepweave.steps.section import Section

__all__ = ["by_status", "one"]

MIXED = "inside a JSON Schema write {type: 'string'} in place of 'string'"


def one(config: Section, key: str, *, required: bool) -> Validator | None:
    """The schema under the key, None if there is none or it cannot be used.

    `required` says whether shorthand fields must be there. What cannot be read is a warning:
    the step runs without that check. The config gets the JSON Schema.
    """
    return _schema(config, key, config.values, key, required)


def by_status(config: Section, key: str) -> dict[int, Validator]:
    """The schemas of a map from status to schema; one schema alone is that of status 200."""
    given = config.values.get(key)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        config.wrong(key, "an object of schemas by status", "write {200: {…}}")
        return {}
    if given and is_json_schema(given) and not any(_status(each) for each in given):
        config.note(
            "warning",
            "bad_schema",
            f"{key} is one schema, taken as that of status 200",
            key,
            "write {200: {…}}",
        )
        given = {"200": given}
    table = {str(status): schema for status, schema in given.items()}
    config.values[key] = table
    found = {}
    for text in list(table):
        status = _status(text)
        if status is None:
            message = f'{key} has the key "{text}", which is no HTTP status'
            config.note("warning", "bad_value", message, key, "write a status such as 200")
            continue
        validator = _schema(config, f"{key}.{text}", table, text, required=True)
        if validator is not None:
            found[status] = validator
    return found


def _status(text: object) -> int | None:
    status = str(text)
    return (
        int(status) if status.isascii() and status.isdigit() and 100 <= int(status) < 600 else None
    )


def _schema(
    config: Section, place: str, holder: dict[str, object], key: str, required: bool
) -> Validator | None:
    given = holder.get(key)
    schema, issues = shorthand.to_json_schema(
        given, required=required, path=tuple(place.split("."))
    )
    for issue in issues:
        config.note("warning", "bad_schema", str(issue), issue.path, "any value is taken there")
    if schema is None:
        return None
    validator = Validator(schema)
    try:
        validator.compiled()
    except SchemaError as error:
        path = f"{place}.{error.path}" if error.path else place
        hint = MIXED if error.reason.startswith("must be true or false or an object") else None
        message = f"{path} {error.reason}; values are not checked against it"
        config.note("warning", "bad_schema", message, place, hint)
        return None
    holder[key] = schema
    return validator
