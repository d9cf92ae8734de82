"""The logger of a handler's context: a message and fields, as a record of its scope."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from stepweave_runner.scope import Scope

__all__ = ["Logger"]

_LEVELS = {"debug", "info", "warn", "error"}
_NUMBERS = ((40, "error"), (30, "warn"), (20, "info"))
_SPELLINGS = {"warning": "warn", "critical": "error", "fatal": "error", "trace": "debug"}


class Logger:
    """`info("paid", {"order": id})`, `info("paid", order=id)` and `info("paid %s", id)`."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def debug(self, message: Any, *args: Any, **fields: Any) -> None:
        self._say("debug", message, args, fields)

    def info(self, message: Any, *args: Any, **fields: Any) -> None:
        self._say("info", message, args, fields)

    def warn(self, message: Any, *args: Any, **fields: Any) -> None:
        self._say("warn", message, args, fields)

    warning = warn

    def error(self, message: Any, *args: Any, **fields: Any) -> None:
        self._say("error", message, args, fields)

    critical = error

    def exception(self, message: Any, *args: Any, **fields: Any) -> None:
        """An error record that holds the exception being handled."""
        fields.setdefault("exc_info", True)
        self._say("error", message, args, fields)

    def log(self, message: Any, *args: Any, **fields: Any) -> None:
        """An info record; or `log(level, message)` with a level's name, or number as in logging."""
        level = _level(message) if args and isinstance(args[0], str) else None
        if level is not None:
            message, args = args[0], args[1:]
        self._say(level or "info", message, args, fields)

    def _say(self, level: str, message: Any, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        error = fields.pop("exc_info", None)
        if error is not None:
            fields.update(_error(error))
        if args:
            message, given = _split(message, args)
            fields = {**given, **fields}
        if isinstance(message, BaseException):
            fields.setdefault("error", message)
        self._scope.log(level, message if type(message) is str else str(message), fields)


def _split(message: Any, args: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
    """Message and fields of what follows a message: a mapping, %-arguments, or something else."""
    first = args[0]
    if len(args) == 1 and isinstance(first, Mapping):
        return message, {str(key): value for key, value in first.items()}
    if isinstance(message, str) and "%" in message:
        try:
            return message % args, {}
        except (TypeError, ValueError, KeyError):
            pass
    if len(args) == 1:
        if isinstance(first, BaseException):
            return message, {"error": first}
        if hasattr(first, "__dict__") and not callable(first):
            return message, dict(vars(first))
    return message, {"data": first if len(args) == 1 else list(args)}


def _error(given: Any) -> dict[str, Any]:
    """The field of logging's `exc_info`: True, an exception, or a triple."""
    if isinstance(given, tuple) and len(given) == 3:
        given = given[1]
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    return {} if error is None else {"error": error}


def _level(name: Any) -> str | None:
    if type(name) is int:
        return next((level for least, level in _NUMBERS if name >= least), "debug")
    if isinstance(name, str):
        name = name.lower()
        name = _SPELLINGS.get(name, name)
        return name if name in _LEVELS else None
    return None
