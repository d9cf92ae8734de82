"""Comparing a frame with the pattern that a scenario expects (forms: patterns.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from stepweave.conformance import wire
from stepweave.conformance.patterns import Scope, build, form_of

__all__ = ["Mismatch", "compare"]

_MISSING = object()
_POSITIONS = {
    0: ("kind", "id", "method", "params"),
    1: ("kind", "id", "error", "result"),
    2: ("kind", "method", "params"),
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bytes": (bytes,),
    "bool": (bool,),
    "list": (list, tuple),
    "map": (dict,),
}


class Mismatch(Exception):
    """A frame is not what was expected; says where, what was got and what was expected."""

    def __init__(self, path: str, got: Any, expected: str) -> None:
        super().__init__(f"at {path or 'the frame'}: got {_brief(got)}, expected {expected}")
        self.depth = {"kind": 0, "method": 1, "id": 2}.get(path, 3 + path.count("."))
        """How far the frame fitted; the larger, the closer it was."""


def compare(pattern: Any, got: Any, scope: Scope) -> None:
    """Compare a frame with its pattern; names that it binds are added to the scope.

    Raises Mismatch naming the first place that differs.
    """
    _compare(pattern, got, scope, "", False)


def _compare(pattern: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    if isinstance(pattern, str):
        _compare_text(pattern, got, scope, path, exact)
    elif isinstance(pattern, dict):
        form = form_of(pattern)
        if form is not None:
            _FORMS[form](pattern[form], got, scope, path, exact)
        else:
            _compare_map(pattern, got, scope, path, exact)
    elif isinstance(pattern, list | tuple):
        if not isinstance(got, list | tuple) or len(got) != len(pattern):
            raise Mismatch(path, got, _brief(pattern))
        names = _positions(got) if not path else None
        for index, (wanted, item) in enumerate(zip(pattern, got, strict=True)):
            place = names[index] if names else f"{path}[{index}]"
            _compare(wanted, item, scope, place, exact)
    elif not _equal(pattern, got):
        raise Mismatch(path, got, _brief(pattern))


def _compare_text(pattern: str, got: Any, scope: Scope, path: str, exact: bool) -> None:
    if pattern == "WHATEVER":
        return
    if pattern == "ANY":
        if got is None:
            raise Mismatch(path, got, "something")
    elif pattern == "ABSENT":
        if got is not None:
            raise Mismatch(path, got, "nothing here")
    elif pattern == "NOTHING":
        if got is not None and _payload(got, path)[1] is not None:
            raise Mismatch(path, got, "nil or the payload null")
    elif pattern.startswith("$"):
        name = pattern[1:]
        if name in scope.bound:
            _compare(scope.bound[name], got, scope, path, exact)
        else:
            scope.bound[name] = got
    elif not isinstance(got, str) or got != pattern:
        raise Mismatch(path, got, _brief(pattern))


def _compare_map(
    pattern: Mapping[str, Any], got: Any, scope: Scope, path: str, exact: bool
) -> None:
    if not isinstance(got, dict):
        raise Mismatch(path, got, f"a map with {_brief(pattern)}")
    for key, wanted in pattern.items():
        place = f"{path}.{key}" if path else key
        if key not in got:
            _compare_missing(wanted, scope, place, exact)
        elif wanted == "MISSING":
            raise Mismatch(place, got[key], "no such field")
        else:
            _compare(None if wanted == "NIL" else wanted, got[key], scope, place, exact)
    if exact:
        for key in got:
            if key not in pattern:
                raise Mismatch(f"{path}.{key}", got[key], "no such key")


def _compare_missing(wanted: Any, scope: Scope, path: str, exact: bool) -> None:
    """A field that is missing counts as nil, except within a JSON value and where it is bound."""
    if wanted == "MISSING":
        return
    binds = isinstance(wanted, str) and wanted.startswith("$")
    if not (binds or wanted == "NIL" or (exact and wanted is None)):
        with suppress(Mismatch):
            _compare(wanted, None, scope, path, exact)
            return
    raise Mismatch(path, _MISSING, _brief(wanted))


def _json(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    kind, value = _payload(got, path)
    if kind not in ("json", "msgpack"):
        raise Mismatch(path, got, "a json or msgpack payload")
    _compare(argument, value, scope, f"{path}.JSON", True)


def _json_subset(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    kind, value = _payload(got, path)
    if kind not in ("json", "msgpack"):
        raise Mismatch(path, got, "a json or msgpack payload")
    _compare(argument, value, scope, f"{path}.JSON", False)


def _value(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    kind, value = _payload(got, path)
    _compare(argument, value, scope, f"{path}.{kind}", True)


def _of_format(wanted: str) -> Callable[[Any, Any, Scope, str, bool], None]:
    def check(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
        kind, value = _payload(got, path)
        if kind != wanted:
            raise Mismatch(path, got, f"a {wanted} payload")
        expected = bytes.fromhex(argument) if wanted == "bytes" else argument
        if wanted == "bytes" and value != expected:
            raise Mismatch(path, value, _brief(expected))
        if wanted != "bytes":
            _compare(expected, value, scope, f"{path}.{wanted}", True)

    return check


def _hex(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    if got != bytes.fromhex(argument):
        raise Mismatch(path, got, f"the bytes {argument}")


def _sent(form: str) -> Callable[[Any, Any, Scope, str, bool], None]:
    def check(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
        expected = build({form: argument}, scope)
        if got != expected:
            raise Mismatch(path, got, _brief(expected))

    return check


def _type(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    if not isinstance(got, _TYPES[argument]) or (isinstance(got, bool) and argument != "bool"):
        raise Mismatch(path, got, f"{'an' if argument == 'int' else 'a'} {argument}")


def _contains(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    for text in argument if isinstance(argument, list) else [argument]:
        if not isinstance(got, str) or text not in got:
            raise Mismatch(path, got, f"a text with {_brief(text)}")


def _between(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    low, high = argument
    if not isinstance(got, int | float) or not low <= got <= high:
        raise Mismatch(path, got, f"a number from {low} to {high}")


def _has(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    if not isinstance(got, list | tuple):
        raise Mismatch(path, got, "a list")
    for wanted in argument:
        if not any(_fits(wanted, item, scope, path, exact) for item in got):
            raise Mismatch(path, got, f"a list with {_brief(_shown(wanted, scope))}")


def _first(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    if not isinstance(got, list | tuple) or not got:
        raise Mismatch(path, got, "a list that is not empty")
    _compare(argument, got[0], scope, f"{path}[0]", exact)


def _one_of(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    if not any(_fits(wanted, got, scope, path, exact) for wanted in argument):
        raise Mismatch(path, got, f"one of {_brief(argument)}")


def _all(argument: Any, got: Any, scope: Scope, path: str, exact: bool) -> None:
    for wanted in argument:
        _compare(wanted, got, scope, path, exact)


_FORMS: Mapping[str, Callable[[Any, Any, Scope, str, bool], None]] = {
    "JSON": _json,
    "JSON_SUBSET": _json_subset,
    "TEXT": _of_format("text"),
    "BYTES": _of_format("bytes"),
    "MSGPACK": _of_format("msgpack"),
    "HEX": _hex,
    "PATH": _sent("PATH"),
    "REPEAT": _sent("REPEAT"),
    "TYPE": _type,
    "VALUE": _value,
    "BETWEEN": _between,
    "CONTAINS": _contains,
    "HAS": _has,
    "FIRST": _first,
    "ONE_OF": _one_of,
    "ALL": _all,
}


def _fits(pattern: Any, got: Any, scope: Scope, path: str, exact: bool) -> bool:
    trial = scope.copy()
    try:
        _compare(pattern, got, trial, path, exact)
    except Mismatch:
        return False
    scope.bound.update(trial.bound)
    return True


def _payload(got: Any, path: str) -> tuple[str, Any]:
    try:
        return wire.decode_payload(got)
    except ValueError as error:
        raise Mismatch(path, got, f"a payload ({error})") from None


def _equal(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    return bool(wanted == got)


def _positions(got: Any) -> tuple[str, ...] | None:
    names = _POSITIONS.get(got[0]) if got and isinstance(got[0], int) else None
    return names if names and len(names) == len(got) else None


def _shown(pattern: Any, scope: Scope) -> Any:
    try:
        return build(pattern, scope)
    except ValueError:
        return pattern


def _brief(value: Any) -> str:
    return "nothing" if value is _MISSING else wire.show(value, 200)
