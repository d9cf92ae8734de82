"""URL patterns as OpenAPI writes them: one template for each choice of optional parts."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from stepweave.steps.patterns import Segment, compile

__all__ = ["Variant", "parameters", "variants"]

_PARAMETER = re.compile(r"\{([^}]*)\}")
_PLAIN = ("([^/]+)", "([^/]+?)", "([^/.]+?)")
_REST = ("(.*)", "([^/]+(?:/[^/]+)*)")


class Variant(NamedTuple):
    """One form of a pattern.

    `parameters` are description and schema by name, in the order of the template. `without`
    names the optional parameters that this form lacks; `derived` says that there are some.
    """

    template: str
    parameters: dict[str, dict[str, Any]]
    without: tuple[str, ...]

    @property
    def derived(self) -> bool:
        """Whether this is a pattern without one of its optional parts."""
        return bool(self.without)


def variants(source: str) -> list[Variant]:
    """The forms of a pattern, the fullest first. Raises PatternError."""
    pattern = compile(source)
    full = pattern.variants[0]
    texts = pattern.template.strip("/").split("/") if full else []
    found = []
    for segments in pattern.variants:
        kept = {id(segment) for segment in segments}
        pairs = [pair for pair in zip(full, texts, strict=True) if id(pair[0]) in kept]
        described: dict[str, dict[str, Any]] = {}
        for segment, text in pairs:
            described |= _described(segment, text)
        without = tuple(name for name in pattern.params if name not in described)
        found.append(Variant("/" + "/".join(text for _, text in pairs), described, without))
    return found


def parameters(template: str) -> list[str]:
    """The names of a template's parameters, in order."""
    return _PARAMETER.findall(template)


def _described(segment: Segment, text: str) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for name in segment.names:
        described: dict[str, Any] = {"schema": {"type": "string", "minLength": 1}}
        if text == f"{{{name}}}":
            rule = segment.regex
            if rule in _REST:
                described = {
                    "description": "The rest of the path; may hold slashes.",
                    "schema": {"type": "string"},
                }
            elif rule not in _PLAIN:
                described["schema"] = {"type": "string", "pattern": f"^{rule}$"}
        result[name] = described
    return result
