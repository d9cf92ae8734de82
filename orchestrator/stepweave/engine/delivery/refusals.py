"""Data that the schema objects of a step's config refuse: the issues that its runner tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stepweave.calls import Outcome
from stepweave.steps.issues import Issue, dotted

__all__ = ["by_position", "is_refusal", "text"]

_SHOWN = 5


def is_refusal(outcome: Outcome) -> bool:
    """Whether a runner answered that the data does not fit; the handler has not run then."""
    return outcome.status == "error" and (outcome.error or {}).get("code") == "invalid_input"


def text(outcome: Outcome) -> str:
    """The first issues in one line."""
    issues = (
        Issue(dotted(part if isinstance(part, int) else str(part) for part in path), message)
        for path, message in _issues(outcome)
    )
    listed = [str(issue) for issue, _ in zip(issues, range(_SHOWN), strict=False)]
    return "; ".join(listed) or str((outcome.error or {}).get("message", ""))


def by_position(outcome: Outcome, count: int) -> dict[int, Outcome]:
    """For each of `count` events of a batch that was refused, the refusal of that event alone.

    All of them when the runner names none, so that no batch is refused for ever.
    """
    error = outcome.error or {}
    apart: dict[int, list[dict[str, Any]]] = {}
    for path, message in _issues(outcome):
        if path and type(path[0]) is int and 0 <= path[0] < count:
            apart.setdefault(path[0], []).append({"path": path[1:], "message": message})
    if not apart:
        return dict.fromkeys(range(count), outcome)
    return {
        position: Outcome("error", None, {**error, "data": {"issues": issues}})
        for position, issues in apart.items()
    }


def _issues(outcome: Outcome) -> Iterator[tuple[list[Any], str]]:
    data = (outcome.error or {}).get("data")
    listed = data.get("issues") if isinstance(data, Mapping) else None
    for issue in listed if isinstance(listed, list | tuple) else ():
        if isinstance(issue, Mapping):
            path = issue.get("path")
            yield (
                list(path) if isinstance(path, list | tuple) else [],
                str(issue.get("message", "")),
            )
