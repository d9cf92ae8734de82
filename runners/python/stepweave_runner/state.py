"""The state of the project, as a handler reads and writes it: groups of keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from stepweave_runner import values
from stepweave_runner.errors import StepweaveError
from stepweave_runner.pending import nothing
from stepweave_runner.scope import Scope

__all__ = ["Group", "State", "StateValue", "operations", "text"]

_GROUP_METHODS = frozenset(
    "get set delete get_group getGroup list clear update increment "
    "compare_and_set compareAndSet".split()
)


class State:
    """Each method can be awaited on the loop and blocks in a thread (`Scope.request`)."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def get(self, group: str, key: str) -> Any:
        """The value, or None if there is none."""
        return self._scope.request("state.get", _place("get", group, key), _value)

    def set(self, group: str, key: str, value: Any, options: Any = None, **more: Any) -> Any:
        """Write a value and give it back.

        Options: `ttl_ms` (or ttlMs), after which it is gone; `expect`, the value that must be
        there, None for none. Raises StepweaveError with code "conflict" if another one is.
        """
        params = _place("set", group, key)
        params["value"] = _encode(f"state.set {group}/{key}", value)
        given = _options("set", {**(options or {}), **more}, "ttl_ms", "expect", ttlMs="ttl_ms")
        ttl = given.get("ttl_ms")
        if ttl is not None:
            if not isinstance(ttl, (int, float)):
                raise TypeError(f"state.set takes ttl_ms as a number, not {ttl!r:.80}")
            params["ttl_ms"] = round(ttl)
        if "expect" in given:
            params["expect"] = _expected(given["expect"])

        def written(error: Any, result: Any) -> Any:
            nothing(error, result)
            return value

        return self._scope.request("state.set", params, written)

    def delete(self, group: str, key: str) -> Any:
        """Remove a value; gives what was there, or None."""
        return self._scope.request("state.delete", _place("delete", group, key), _value)

    def get_group(self, group: str, options: Any = None, **more: Any) -> Any:
        """The values of a group, ordered by key: a list that can also be asked by key.

        Options: `limit`, how many at most; `after`, the key after which they begin. `next` of a
        full page is the `after` of the next one.
        """
        given = _options("get_group", {**(options or {}), **more}, "after", "limit")
        params: dict[str, Any] = {"group": text("state.get_group", "group", group)}
        if given.get("after") is not None:
            params["after"] = text("state.get_group", "after", given["after"])
        if given.get("limit") is None:
            return self._scope.request("state.list", params, _group)
        limit = params["limit"] = given["limit"]

        def page(error: Any, result: Any) -> Group:
            values = _group(error, result)
            values.next = result[-1][0] if len(result) == limit else None
            return values

        return self._scope.request("state.list", params, page)

    getGroup = list = get_group

    def clear(self, group: str) -> Any:
        """Remove a group; gives how many values it had."""
        params = {"group": text("state.clear", "group", group)}
        return self._scope.request("state.clear", params, nothing)

    def groups(self) -> Any:
        """The names of all groups."""
        return self._scope.request("state.groups", {}, nothing)

    list_groups = listGroups = groups

    def update(self, group: str, key: str, ops: Any, **options: Any) -> Any:
        """Change parts of a value at once: `[{"op": "append", "path": "lines", "value": 1}]`.

        Operations: set, merge, increment, append, remove. Gives the new value.
        """
        options = _options("update", options, "expect")
        params = _place("update", group, key)
        params["ops"] = operations("state.update", ops)
        if "expect" in options:
            params["expect"] = _expected(options["expect"])
        return self._scope.request("state.update", params, _value)

    def increment(self, group: str, key: str, by: float = 1) -> Any:
        """Add to a number, 0 if there is none; gives the new one."""
        return self.update(group, key, [{"op": "increment", "path": [], "value": by}])

    def compare_and_set(self, group: str, key: str, expected: Any, value: Any) -> Any:
        """Write a value if `expected` is there (None: nothing is); gives whether it was."""
        params = _place("compare_and_set", group, key)
        params["value"] = _encode(f"state.compare_and_set {group}/{key}", value)
        params["expect"] = _expected(expected)
        return self._scope.request("state.set", params, _agreed)

    compareAndSet = compare_and_set

    @property
    def trace(self) -> TraceState:
        """The same methods without a group: the values of this trace."""
        return TraceState(self, self._scope.trace_id)

    def __getitem__(self, name: str) -> Any:
        if isinstance(name, str) and not name.startswith("_") and hasattr(self, name):
            return getattr(self, name)
        raise KeyError(name)


class TraceState:
    """The state's methods for one group, which is the trace id."""

    def __init__(self, state: State, group: str) -> None:
        self._state = state
        self._group = group

    def __getattr__(self, name: str) -> Any:
        if name in _GROUP_METHODS:
            return partial(getattr(self._state, name), self._group)
        known = ", ".join(sorted(_GROUP_METHODS))
        raise AttributeError(f"state.trace has no {name!r}; it has {known}")


class StateValue(dict[str, Any]):
    """A map from the state.

    Steps written for Motia read it as `value["data"]` or `value.get("data")`, which works too.
    """

    __slots__ = ()

    def get(self, key: str, default: Any = None, /) -> Any:
        """As of any dict; a map without a key `data` is its own."""
        return self if key == "data" and "data" not in self else super().get(key, default)

    def __missing__(self, key: str) -> Any:
        if key == "data":
            return self
        raise KeyError(key)


class Group(list[Any]):
    """The values of a group as a list; `[key]`, keys(), values() and items() see its keys."""

    next: str | None = None
    """Of a full page: the key after which the next one begins."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(value for _, value in pairs)
        self._by_key = dict(pairs)

    def keys(self) -> Any:
        return self._by_key.keys()

    def values(self) -> Any:
        return self._by_key.values()

    def items(self) -> Any:
        return self._by_key.items()

    def get(self, key: str, default: Any = None) -> Any:
        return self._by_key.get(key, default)

    def __getitem__(self, key: Any) -> Any:
        return self._by_key[key] if isinstance(key, str) else super().__getitem__(key)

    def __contains__(self, item: object) -> bool:
        return (isinstance(item, str) and item in self._by_key) or super().__contains__(item)

    def __iter__(self) -> Iterator[Any]:
        return super().__iter__()


def operations(method: str, ops: Any) -> list[dict[str, Any]]:
    """The operations of an update as they travel. Raises TypeError for what is none."""
    written = []
    for op in [ops] if isinstance(ops, Mapping) else ops:
        if not isinstance(op, Mapping) or not isinstance(op.get("op", op.get("type")), str):
            raise TypeError(
                f'{method} takes operations such as {{"op": "set", "path": "a.b", "value": 1}}, '
                f"not {op!r:.80}"
            )
        path = op.get("path", [])
        if isinstance(path, (str, int)):
            path = [int(part) if part.isdigit() else part for part in str(path).split(".") if part]
        wire: dict[str, Any] = {"op": op.get("op", op.get("type")), "path": list(path)}
        if "value" in op:
            wire["value"] = _encode(method, op["value"])
        written.append(wire)
    return written


def text(method: str, name: str, value: Any) -> str:
    """A group, key or id as text. Raises TypeError when there is none."""
    if type(value) is str:
        return value
    if value is None or isinstance(value, (Mapping, list, tuple)):
        raise TypeError(f"{method} needs {_a(name)} as text, not {value!r:.80}")
    simple = values.simplify(value)
    return simple if isinstance(simple, str) else str(simple)


def _options(method: str, given: dict[str, Any], *known: str, **other: str) -> dict[str, Any]:
    """Options under the first of their names. Raises TypeError for one that there is not: a
    misspelled one must not go unnoticed."""
    found = {other.get(name, name): value for name, value in given.items()}
    for name in found.keys() - set(known):
        raise TypeError(f'state.{method} has no option "{name}"; it takes {" and ".join(known)}')
    return found


def _a(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _place(method: str, group: Any, key: Any) -> dict[str, Any]:
    if type(group) is str and type(key) is str:
        return {"group": group, "key": key}
    method = f"state.{method}"
    return {"group": text(method, "group", group), "key": text(method, "key", key)}


def _encode(what: str, value: Any) -> values.Payload:
    try:
        return values.encode(value)
    except StepweaveError as error:
        raise StepweaveError(error.code, f"{what}: {error}") from None


def _expected(value: Any) -> values.Payload | None:
    return None if value is None else _encode("expect", value)


def _value(error: Any, result: Any) -> Any:
    value = values.decode(nothing(error, result))
    return StateValue(value) if type(value) is dict else value


def _group(error: Any, result: Any) -> Group:
    return Group([(key, values.decode(payload)) for key, payload in nothing(error, result)])


def _agreed(error: Any, result: Any) -> bool:
    if error is not None and error.get("code") == "conflict":
        return False
    nothing(error, result)
    return True
