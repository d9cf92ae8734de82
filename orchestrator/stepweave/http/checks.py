"""Whether a request is what its step asks for: path, query and body, with every issue at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stepweave.http.intake import Taken
from stepweave.http.response import Reply, error_reply
from stepweave.steps.file_fields import with_files
from stepweave.steps.issues import dotted
from stepweave.steps.model import Step

__all__ = ["body_of", "refusal", "refused_by_runner"]

_MOST = 100
"""Issues that one answer lists."""

_ALONE = {
    "path": "Invalid path parameters",
    "query": "Invalid query parameters",
    "body": "Invalid request body",
}


def body_of(step: Step, taken: Taken) -> Any:
    """A body as its schema sees it: of a form, the files as well."""
    if (taken.files is None and not step.takes_files) or step.body is None:
        return taken.value
    files: dict[str, list[tuple[str, int]]] = {}
    for file in taken.files or ():
        files.setdefault(file.field, []).append((file.name, file.size))
    return with_files(step.body.schema, taken.value, files)


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
    return _refused(list(_issues(step, params, query, body)))


def refused_by_runner(error: Mapping[str, Any]) -> Reply:
    """The 400 for what the config's own schema objects refused (SPEC 8.4)."""
    data = error.get("data")
    listed = data.get("issues") if isinstance(data, Mapping) else None
    issues = []
    for issue in listed if isinstance(listed, list | tuple) else ():
        if isinstance(issue, Mapping):
            path = issue.get("path")
            parts = path if isinstance(path, list | tuple) else ()
            issues.append(
                {
                    "in": str(issue.get("in", "body")),
                    "path": dotted(part if isinstance(part, int) else str(part) for part in parts),
                    "message": str(issue.get("message", "")),
                }
            )
    return _refused(issues[:_MOST])


def _refused(issues: list[dict[str, str]]) -> Reply:
    places = {issue["in"] for issue in issues}
    alone = _ALONE.get(places.pop()) if len(places) == 1 else None
    return error_reply(400, alone or "Invalid request", issues=issues)


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
