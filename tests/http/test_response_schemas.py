"""Answers against responseSchema: a warning for the developer, never a change of the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.flows.harness import start
from tests.http.wire import ask

pytestmark = pytest.mark.anyio

FILES = {
    "steps/get.step.py": """
        config = {
            "type": "api", "name": "Get", "method": "GET", "path": "/:what",
            "response_schema": {
                "200": {"id": "string", "tags": "string[]"}, "404": {"error": "string"},
            },
        }
        ANSWERS = {
            "good": {"status": 200, "body": {"id": "1", "tags": []}},
            "bad": {"status": 200, "body": {"id": 1}},
            "missing": {"status": 404, "body": {"error": "none"}},
            "other": {"status": 202, "body": {"id": 1}},
            "redirect": {"status": 302, "headers": {"Location": "/"}},
        }

        async def handler(req, context):
            return ANSWERS[req.path_params["what"]]
        """
}


@pytest.mark.parametrize(
    ("mode", "what", "warned"),
    [
        ("dev", "good", ""),
        ("dev", "bad", "id must be a string, not a number"),
        ("dev", "missing", ""),
        ("dev", "other", ""),
        ("dev", "redirect", ""),
        ("start", "bad", ""),
    ],
)
async def test_development_warns_of_an_answer_that_does_not_fit(
    tmp_path: Path, mode: Any, what: str, warned: str
) -> None:
    async with start(tmp_path, FILES, mode=mode) as it:
        answer = await ask(it, "GET", f"/{what}")
        found = [r for r in it.records if "the answer does not match responseSchema" in r.message]

    assert len(found) == bool(warned)
    assert "warn" not in {r.level for r in it.records} or warned in found[0].message
    if what == "bad":
        assert (answer.status, answer.json()) == (200, {"id": 1})
