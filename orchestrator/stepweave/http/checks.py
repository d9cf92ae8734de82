"""Whether a request is what its step asks for: path, query and body, with every issue at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stepweave.http.response import Reply, error_reply
from stepweave.steps.model import Step

__all__ = ["refusal"]

_ALONE = {
    "path": "Invalid path parameters",
    "query": "Invalid query parameters",
    "body": "Invalid request body",
}


def refusal(
    step: Step, params: Mapping[str, Any], query: Mapping[str, Any], body: Any
) -> Reply | None:
    """The 400 that names what does not fit; None if all does."""
    if (
        (step.body is None or step.body.is_valid(body))
        and (step.query is None or step.query.is_valid(query))
        and (step.params is None or step.params.is_valid(params))
    ):
        return None
    issues = list(_issues(step, params, query, body))
    places = {issue["in"] for issue in issues}
    text = _ALONE[places.pop()] if len(places) == 1 else "Invalid request"
    return error_reply(400, text, issues=issues)


def _issues(
    step: Step, params: Mapping[str, Any], query: Mapping[str, Any], body: Any
) -> Iterator[dict[str, str]]:
    for place, validator, value in (
        ("path", step.params, params),
        ("query", step.query, query),
        ("body", step.body, body),
    ):
        if validator is not None:
            for issue in validator.issues(value):
                yield {"in": place, "path": issue.path, "message": issue.message}
