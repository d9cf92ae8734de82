"""The table that finds the API step of a request.

Fixed paths are one dictionary look-up. The others are looked up by the fixed text before their
first parameter, and those that share it are one regular expression, shaped like a tree: a
thousand routes under `/api` cost hardly more than one. A fixed path goes before a parameter and
a parameter before a wildcard, whatever the order of the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile
from typing import Generic, NamedTuple, TypeVar

from stepweave.steps.patterns import (
    FLAGS,
    Pattern,
    PatternError,
    Segment,
    canonical,
    compile,
    plain,
)

__all__ = [
    "METHODS",
    "Match",
    "MethodNotAllowed",
    "Pattern",
    "PatternError",
    "RouteTable",
    "compile",
]

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")
DOT_SEGMENT = re.compile(r"/\.\.?(?:/|\Z)")

T = TypeVar("T")


class Match(NamedTuple, Generic[T]):
    """The step of a request and its path parameters, decoded. `params` must not be changed."""

    step: T
    params: dict[str, str]


class MethodNotAllowed(NamedTuple):
    """The path exists, but not for this method; `allowed` are those that it has."""

    allowed: tuple[str, ...]


class RouteTable(Generic[T]):
    """An immutable table of (method, pattern, step).

    Of two routes that match the same paths, the first one counts. HEAD is answered by the GET
    route unless it has one of its own. Raises PatternError for a pattern that is not one.
    """

    __slots__ = ("_methods",)

    def __init__(self, routes: Iterable[tuple[str, str | Pattern, T]]) -> None:
        by_method: dict[str, list[tuple[Pattern, T]]] = {}
        for method, pattern, step in routes:
            compiled = compile(pattern) if isinstance(pattern, str) else pattern
            by_method.setdefault(method, []).append((compiled, step))
        if "GET" in by_method:
            by_method["HEAD"] = [*by_method.get("HEAD", ()), *by_method["GET"]]
        order = {method: index for index, method in enumerate(METHODS)}
        self._methods = {
            method: _Method(by_method[method])
            for method in sorted(by_method, key=lambda method: (order.get(method, 99), method))
        }

    def match(self, method: str, path: str) -> Match[T] | MethodNotAllowed | None:
        """The step for a request, or what its path allows, or None for an unknown path.

        `path` is as the client sent it, without the query and with its escapes. One with an
        empty segment, a dot segment or an escape that is none is unknown. Never raises.
        """
        table = self._methods.get(method)
        if table is not None:
            found = table.static.get(path) or table.find(path)
            if found is not None:
                return found
        allowed = tuple(
            other
            for other, table in self._methods.items()
            if other != method and (table.static.get(path) or table.find(path)) is not None
        )
        return MethodNotAllowed(allowed) if allowed else None


class _Leaf(NamedTuple, Generic[T]):
    """Where a match ends: the step and which group of the expression holds which parameter."""

    step: T
    groups: tuple[tuple[str, int], ...]


class _Method(Generic[T]):
    """The routes of one method."""

    __slots__ = ("_deepest", "_prefixes", "static")

    def __init__(self, routes: list[tuple[Pattern, T]]) -> None:
        self.static: dict[str, Match[T]] = {}
        trees: dict[str, _Node[T]] = {}
        derived: list[tuple[tuple[Segment, ...], T]] = []
        for pattern, step in routes:
            self._add(pattern.variants[0], step, trees)
            derived += [(variant, step) for variant in pattern.variants[1:]]
        # What is left of a pattern without its optional parts gives way to a route of its own.
        for variant, step in derived:
            self._add(variant, step, trees)
        self._deepest = max((prefix.count("/") for prefix in trees), default=0)
        self._prefixes = {prefix: _Matcher(tree) for prefix, tree in trees.items()}

    def _add(self, segments: tuple[Segment, ...], step: T, trees: dict[str, _Node[T]]) -> None:
        fixed = list(takewhile(lambda text: text is not None, (each.text for each in segments)))
        prefix = "".join(f"/{text}" for text in fixed)
        if len(fixed) == len(segments):
            path = prefix or "/"
            for each in {path, path.lower(), f"{path}/", f"{path.lower()}/"} - {"//"}:
                self.static.setdefault(each, Match(step, {}))
            return
        node = trees.setdefault(prefix.lower(), _Node())
        for segment in segments:
            edge = segment.regex if segment.text is None else segment.text.lower()
            node = node.children.setdefault((segment.rank, edge), (segment, _Node()))[1]
        if node.leaf is None:
            node.leaf = (step, tuple(name for segment in segments for name in segment.names))

    def find(self, path: str) -> Match[T] | None:
        """The match of a path that is not in `static` as it stands."""
        escaped = "%" in path
        if escaped:
            decoded = canonical(path)
            if decoded is None:
                return None
            path = decoded
        found = self.static.get(path) or self.static.get(path.lower())
        if found is not None:
            return found
        found = self._dynamic(path)
        if found is None or "//" in path or ("/." in path and DOT_SEGMENT.search(path)):
            return None
        if escaped:
            for name, value in found.params.items():
                found.params[name] = plain(value)
        return found

    def _dynamic(self, path: str) -> Match[T] | None:
        """The match among routes with parameters; a longer fixed beginning goes before."""
        folded = path.lower()
        ends = [0]
        while len(ends) <= self._deepest and (end := folded.find("/", ends[-1] + 1)) > 0:
            ends.append(end)
        for end in reversed(ends):
            matcher = self._prefixes.get(folded[:end])
            found = matcher.match(path) if matcher is not None else None
            if found is not None:
                return found
        return None


class _Node(Generic[T]):
    """A place in the tree of segments."""

    __slots__ = ("children", "leaf")

    def __init__(self) -> None:
        self.children: dict[tuple[int, str], tuple[Segment, _Node[T]]] = {}
        self.leaf: tuple[T, tuple[str, ...]] | None = None


class _Matcher(Generic[T]):
    """A tree of segments as one regular expression.

    Each place where a route ends has an empty group, so the last group of a match tells which
    route it is.
    """

    __slots__ = ("_leaves", "_match")

    def __init__(self, tree: _Node[T]) -> None:
        self._leaves: dict[int, _Leaf[T]] = {}
        groups = 0

        def expression(node: _Node[T], open_groups: tuple[int, ...]) -> str:
            nonlocal groups
            options = []
            if node.leaf is not None:
                groups += 1
                step, names = node.leaf
                self._leaves[groups] = _Leaf(step, tuple(zip(names, open_groups, strict=True)))
                options.append(r"/?\Z()")
            children = sorted(
                node.children.values(), key=lambda child: (child[0].rank, -len(child[0].regex))
            )
            for segment, child in children:
                own = tuple(range(groups + 1, groups + 1 + len(segment.names)))
                groups += len(own)
                options.append(f"/{segment.regex}{expression(child, (*open_groups, *own))}")
            return options[0] if len(options) == 1 else f"(?:{'|'.join(options)})"

        self._match = re.compile(expression(tree, ()), FLAGS).match

    def match(self, path: str) -> Match[T] | None:
        found = self._match(path)
        if found is None:
            return None
        leaf = self._leaves[found.lastindex or 0]
        params = {}
        for name, group in leaf.groups:
            value = found[group]
            if value is not None:
                params[name] = value
        return Match(leaf.step, params)
