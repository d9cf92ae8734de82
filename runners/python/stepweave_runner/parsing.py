"""`validate: 'parse'`: what the schema objects of a config make of a handler's input.

Pydantic models and type adapters, and through pydantic or msgspec dataclasses and other types. A
schema that is a dict has nothing to run: the orchestrator has checked it.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from stepweave_runner import errors, values
from stepweave_runner.errors import StepweaveError
from stepweave_runner.handlers import Handler
from stepweave_runner.scope import Scope

__all__ = ["KEYS", "InvalidInput", "Parsing", "is_parsed", "parser_of"]

_PARTS = (
    ("path", "pathParams", ("paramsSchema", "params_schema")),
    ("query", "queryParams", ("querySchema", "query_schema")),
    ("body", "body", ("bodySchema", "body_schema")),
    ("input", "", ("input",)),
)
KEYS = frozenset(key for _, _, keys in _PARTS for key in keys)
"""Those of a config whose schemas are of a handler's input."""

_PAYLOADS = {"body": "body", "input": "data"}
_MOST_ISSUES = 100
_MOST_TOLD = 5
_PREFIXES = ("Value error, ", "Assertion failed, ")

Parse = Callable[[Any, bool], Any]
"""Called with a value and whether it is one of JSON, in which a date is a text."""


class InvalidInput(StepweaveError):
    """The input is not what the config's own schemas allow."""

    def __init__(self, issues: list[dict[str, Any]]) -> None:
        listed = {"issues": issues[:_MOST_ISSUES]}
        super().__init__("invalid_input", "the input does not fit its schemas", listed)


class _Parser(NamedTuple):
    """Where it looks, as an issue names it; the field of the request, empty for an event's data."""

    place: str
    field: str
    parse: Parse


class Parsing:
    """The schemas of a step's input, made ready when they are first needed."""

    __slots__ = ("_config", "_parsers")

    def __init__(self, config: Mapping[Any, Any]) -> None:
        self._config = config
        self._parsers: list[_Parser] | None = None

    @property
    def parsers(self) -> list[_Parser]:
        """What there is to run, in the order of path, query, body."""
        if self._parsers is None:
            self._parsers = _parsers(self._config)
        return self._parsers

    @property
    def warning(self) -> str | None:
        """For a config that asks for parsing and has nothing that could."""
        config = self._config
        reads = config.get("type") in ("api", "event")
        if not reads or config.get("validate") != "parse" or self.parsers:
            return None
        return "validate: 'parse' has no effect: none of the schemas is an object that parses"

    def before(self, handler: Handler, scope: Scope, given: Mapping[str, Any]) -> Handler:
        """The handler, given the parsed input. It raises InvalidInput, and what a validator of the
        author's raises by mistake."""
        how = given.get("parse")
        if (how is not True and how != "warn") or not self.parsers:
            return handler
        parsers, call = self.parsers, handler.call

        def parsed(value: Any) -> Any:
            issues: list[dict[str, Any]] = []
            for parser in parsers:
                if parser.field:
                    value[parser.field] = _part(parser, value[parser.field], given, issues)
                elif given.get("events") is not None:
                    value = _batch(parser, value, given, issues)
                else:
                    value = _part(parser, value, given, issues)
            if issues and how is True:
                raise InvalidInput(issues)
            if issues:
                told = "; ".join(map(_text, issues[:_MOST_TOLD]))
                message = f"the data does not match input and is handed over as it came: {told}"
                scope.log("warn", message)
            return value

        async def awaiting(value: Any, context: Any) -> Any:
            return await call(parsed(value), context)

        if handler.asynchronous:
            return Handler(awaiting, True)
        return Handler(lambda value, context: call(parsed(value), context), False)


def is_parsed(config: Mapping[Any, Any], otherwise: bool) -> bool:
    """Whether a step's input is parsed; `otherwise` is what configs that do not say it mean."""
    how = config.get("validate")
    return otherwise if how is None else how == "parse"


def parser_of(schema: Any) -> Parse | None:
    """How a schema object is run; None for plain data and what has no way."""
    if schema is None or isinstance(schema, Mapping):
        return None
    for plain, json in (
        ("model_validate", "model_validate_json"),
        ("validate_python", "validate_json"),
        ("parse_obj", ""),
    ):
        if callable(getattr(schema, plain, None)):
            return _pydantic(getattr(schema, plain), getattr(schema, json, None) if json else None)
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
    return lambda value, _is_json: convert(value, type=schema)


def _parsers(config: Mapping[Any, Any]) -> list[_Parser]:
    found: list[_Parser] = []
    for place, field, keys in _PARTS:
        if (config.get("type") == "event") == bool(field):
            continue
        schema = next((config[key] for key in keys if config.get(key) is not None), None)
        parse = parser_of(schema)
        if parse is not None:
            found.append(_Parser(place, field, parse))
    return found


def _part(
    parser: _Parser, value: Any, given: Mapping[str, Any], issues: list[dict[str, Any]]
) -> Any:
    """What the schema makes of a value; the value itself, and issues, if it does not fit."""
    payload = given.get(_PAYLOADS.get(parser.place, ""))
    is_json = payload is None or payload[0] not in ("msgpack", "bytes")
    try:
        return parser.parse(value, is_json)
    except Exception as error:
        if not _is_refusal(error):
            raise
        issues.extend({"in": parser.place, **issue} for issue in _issues(error))
        return value


def _batch(
    parser: _Parser, data: list[Any], given: Mapping[str, Any], issues: list[dict[str, Any]]
) -> list[Any]:
    """The same for each of several events; paths of issues begin with the position of the event."""
    parsed = []
    for position, value in enumerate(data):
        own: list[dict[str, Any]] = []
        parsed.append(_part(parser, value, given, own))
        issues.extend({**issue, "path": [position, *issue["path"]]} for issue in own)
    return parsed


def _pydantic(plain: Callable[[Any], Any], json: Callable[[bytes], Any] | None) -> Parse:
    """Strict models take a date for one, or a text of JSON, but no text of Python's."""

    def parse(value: Any, is_json: bool) -> Any:
        if is_json and json is not None:
            return json(values.encode_json(value)[1])
        return plain(value)

    return parse


def _adapted(adapter: Any, schema: Any) -> Parse | None:
    """None for what pydantic cannot use; the author was told when the config was converted."""
    try:
        made = adapter(schema)
    except Exception:
        return None
    return _pydantic(made.validate_python, made.validate_json)


def _is_refusal(error: Exception) -> bool:
    """Whether a library says that a value does not fit."""
    return any(each.__name__ == "ValidationError" for each in type(error).__mro__)


def _issues(error: Exception) -> list[dict[str, Any]]:
    listing = getattr(error, "errors", None)
    if not callable(listing):
        return [{"path": [], "message": errors.message_of(error)}]
    return [
        {
            "path": [part if isinstance(part, int) else str(part) for part in each.get("loc", ())],
            "message": _bare(str(each.get("msg", ""))),
        }
        for each in listing()
    ]


def _bare(message: str) -> str:
    """What the author's validator said, without what pydantic puts before it."""
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return message


def _text(issue: Mapping[str, Any]) -> str:
    """An issue in one line, such as "pet.tags[0] must be text"."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in issue["path"])
    place = "".join(parts).removeprefix(".")
    return f"{place} {issue['message']}" if place else str(issue["message"])
