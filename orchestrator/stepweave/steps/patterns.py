"""URL patterns as Express 4 reads them: `/pets/:id`, `/pets/:id?`, `/pets/:id(\\d+)`, `/files/*`.

A pattern becomes a list of segments, each a piece of regular expression, from which the route
table builds one expression for all of its routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, product
from urllib.parse import unquote

from stepweave.errors import StepweaveError
from stepweave.steps import wording

__all__ = ["FLAGS", "Pattern", "PatternError", "Segment", "canonical", "compile", "plain"]

LITERAL, MIXED, PARAM, REST, WILDCARD = range(5)
MAX_SEGMENTS = 64
MAX_OPTIONAL = 5
FLAGS = re.ASCII | re.IGNORECASE | re.DOTALL

NAME = re.compile(r"[A-Za-z0-9_]+")
QUERY = re.compile(r"(?<!\()\?[\w%-]*=")
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
REPEATS = frozenset("*+")
SIGNS = REPEATS | {"?"}


class PatternError(StepweaveError):
    """A text that is not a pattern; `hint` says what to write."""

    code = "bad_path"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Segment:
    """What stands between two slashes: its rank (fixed text is 0), expression and parameters.

    `names` belong to the expression's capturing groups, in order. `text` is set for fixed text.
    """

    rank: int
    regex: str
    names: tuple[str, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern.

    `variants` are the paths that it stands for, the one with all optional segments first.
    `key` is equal for patterns that match the same paths but for the names of parameters.
    `template` is the form that OpenAPI writes, `/pets/{id}`.
    """

    source: str
    variants: tuple[tuple[Segment, ...], ...]
    params: tuple[str, ...]
    key: str
    template: str

    @property
    def is_static(self) -> bool:
        """Whether it is one fixed path."""
        return len(self.variants) == 1 and all(part.text is not None for part in self.variants[0])


def compile(source: str) -> Pattern:
    """The pattern of a text. Raises PatternError, whose message quotes what is wrong."""
    if not source.startswith("/"):
        raise PatternError(f'{wording.quote(source)} does not begin with "/"', f'write "/{source}"')
    if QUERY.search(source):
        raise PatternError(
            f"{wording.quote(source)} has a query string",
            "leave it out; name its parameters in queryParams",
        )
    parts = source.strip("/").split("/") if source.strip("/") else []
    if len(parts) > MAX_SEGMENTS:
        raise PatternError(f"the path has more than {MAX_SEGMENTS} segments")
    if "//" in source:
        raise PatternError(f"{wording.quote(source)} has an empty segment", "take out a slash")
    wildcards = count()
    segments = [_Reader(part, source, wildcards).read() for part in _rejoin(parts)]
    names = [name for part in segments for name in part.segment.names]
    for name in names:
        if names.count(name) > 1:
            message = f"{wording.quote(source)} has the parameter :{name} twice"
            raise PatternError(message, "give each its own name")
    return Pattern(
        source=source,
        variants=_variants(source, segments),
        params=tuple(names),
        key="/" + "/".join(_key(each) for each in segments),
        template="/" + "/".join(each.template for each in segments),
    )


def canonical(path: str) -> str | None:
    """The path with its escapes decoded, but for %25 and %2F; None if one is not an escape.

    A path without a percent sign is canonical already.
    """
    if "%" not in path:
        return path
    if BAD_ESCAPE.search(path):
        return None
    kept = path.replace("%25", "%2525").replace("%2F", "%252F").replace("%2f", "%252F")
    try:
        return unquote(kept, errors="strict")
    except UnicodeDecodeError:
        return None


def plain(value: str) -> str:
    """A part of a canonical path with its last escapes decoded."""
    return value.replace("%2F", "/").replace("%25", "%") if "%" in value else value


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment as it is written, before optional ones are left out or in."""

    segment: Segment
    template: str
    optional: bool = False


class _Reader:
    """Reads one segment from left to right."""

    def __init__(self, text: str, source: str, wildcards: Iterator[int]) -> None:
        self.text = text
        self.source = source
        self.wildcards = wildcards
        self.at = 0
        self.literal = ""
        self.regex = ""
        self.template = ""
        self.names: list[str] = []
        self.rank = LITERAL
        self.optional = False

    def read(self) -> _Part:
        if self.text in (".", ".."):
            raise self.wrong("a dot segment", "clients resolve those before they send a request")
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == ":" and NAME.match(self.text, self.at + 1):
                self.param()
            elif char == "*":
                self.at += 1
                self.group("(.*)", str(next(self.wildcards)), WILDCARD)
            elif char in "{}<>":
                raise self.wrong(f'"{char}"', "write parameters as :id")
            elif char in "?+()":
                raise self.wrong(f'"{char}" after fixed text', "it may only follow a parameter")
            elif char == "#":
                raise self.wrong('"#"', "clients do not send what follows it")
            else:
                self.literal += char
                self.at += 1
        if self.rank == LITERAL:
            text = self.decoded()
            return _Part(Segment(LITERAL, re.escape(text), (), text), self.literal)
        self.flush()
        return _Part(
            Segment(self.rank, self.regex, tuple(self.names)), self.template, self.optional
        )

    def param(self) -> None:
        found = NAME.match(self.text, self.at + 1)
        assert found is not None
        self.at = found.end()
        rule = self.constraint()
        sign = self.text[self.at] if self.at < len(self.text) else ""
        if sign not in SIGNS:
            sign = ""
        alone = found.start() == 1 and self.at + len(sign) == len(self.text)
        self.at += len(sign)
        if sign in REPEATS:
            if not alone or rule:
                raise self.wrong(f'"{sign}" inside a segment', f"write /:{found[0]}{sign} alone")
            self.group("([^/]+(?:/[^/]+)*)", found[0], REST)
            self.optional = sign == "*"
        elif alone:
            self.group(rule or "([^/]+)", found[0], MIXED if rule else PARAM)
            self.optional = sign == "?"
        elif sign == "?":
            self.optional_piece(rule or "([^/.]+?)", found[0])
        else:
            self.group(rule or "([^/]+?)", found[0], MIXED)

    def optional_piece(self, rule: str, name: str) -> None:
        """A parameter that may be absent, with the dot before it: `/report.:format?`."""
        dot = self.literal.endswith(".")
        if dot:
            self.literal = self.literal[:-1]
        self.flush()
        before = r"\." if dot else ""
        self.regex += f"(?:{before}{rule})?"
        self.template += f"{'.' if dot else ''}{{{name}}}"
        self.names.append(name)
        self.rank = max(self.rank, MIXED)

    def group(self, regex: str, name: str, rank: int) -> None:
        self.flush()
        self.regex += regex
        self.template += f"{{{name}}}"
        self.names.append(name)
        self.rank = max(self.rank, rank)

    def flush(self) -> None:
        """Turn the fixed text read since the last parameter into expression."""
        self.regex += re.escape(self.decoded())
        self.template += self.literal
        self.literal = ""

    def decoded(self) -> str:
        text = canonical(self.literal)
        if text is None:
            raise self.wrong("a percent sign that begins no escape", "write it as %25")
        return text

    def constraint(self) -> str:
        """The expression in brackets after a parameter's name, as one capturing group."""
        if not self.text.startswith("(", self.at):
            return ""
        end = _closing(self.text, self.at)
        if end is None:
            raise self.wrong("a bracket that is not closed", "close it")
        rule = _without_groups(self.text[self.at + 1 : end])
        self.at = end + 1
        try:
            compiled = re.compile(f"(?:x({rule})y)", FLAGS)
        except (re.error, RecursionError, OverflowError) as error:
            raise self.wrong(f"the expression ({rule})", f"it is not one: {error}") from error
        if compiled.groups != 1 or rule.startswith("?"):
            raise self.wrong(f"the expression ({rule})", "use (?:…) for groups in it")
        return f"({rule})"

    def wrong(self, what: str, hint: str) -> PatternError:
        return PatternError(f"{wording.quote(self.source)} has {what}", hint)


def _rejoin(parts: list[str]) -> list[str]:
    """Segments, with those put together again that a slash inside brackets had cut."""
    joined: list[str] = []
    for part in parts:
        if joined and (start := joined[-1].find("(")) >= 0 and _closing(joined[-1], start) is None:
            joined[-1] += f"/{part}"
        else:
            joined.append(part)
    return joined


def _closing(text: str, start: int) -> int | None:
    """The index of the bracket that closes the one at `start`, as in a regular expression."""
    depth = 0
    index = start
    in_class = False
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 1
        elif char == "[" and not in_class:
            in_class = True
        elif char == "]":
            in_class = False
        elif char == "(" and not in_class:
            depth += 1
        elif char == ")" and not in_class:
            depth -= 1
            if depth == 0:
                return index
        index += 1
    return None


def _without_groups(rule: str) -> str:
    """The expression with its plain groups made non-capturing."""
    return re.sub(r"(\\.|\[(?:\\.|[^\]])*\])|\((?!\?)", lambda m: m[1] or "(?:", rule, flags=re.S)


def _variants(source: str, parts: list[_Part]) -> tuple[tuple[Segment, ...], ...]:
    """Every choice of optional segments, the fullest first."""
    if sum(part.optional for part in parts) > MAX_OPTIONAL:
        raise PatternError(
            f"{wording.quote(source)} has more than {MAX_OPTIONAL} optional parameters"
        )
    choices = [((part.segment,), ()) if part.optional else ((part.segment,),) for part in parts]
    made = (sum(choice, ()) for choice in product(*choices))
    return tuple(dict.fromkeys(made))


def _key(part: _Part) -> str:
    segment = part.segment
    text = segment.regex if segment.text is None else segment.text.lower()
    return f"{text}?" if part.optional else text
