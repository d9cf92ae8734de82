"""The vectors of the step contract, and the values that tests of steps are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from stepweave import files
from stepweave.steps import discovery
from stepweave.steps.model import Found

EXTENSIONS = {
    ".cjs": "javascript",
    ".cts": "typescript",
    ".js": "javascript",
    ".mjs": "javascript",
    ".mts": "typescript",
    ".py": "python",
    ".rb": "ruby",
    ".ts": "typescript",
}
ROOT = Path("/project")


def cases(name: str) -> list[Any]:
    """The cases of `steps/vectors/<name>.json`."""
    loaded = orjson.loads(files.path("steps", "vectors", f"{name}.json").read_bytes())
    return list(loaded["cases"])


def names(loaded: list[Any]) -> list[str]:
    """Test ids."""
    return [case["name"].replace(" ", "-") for case in loaded]


def found(file: str) -> Found:
    """A found file of that relative path, which need not exist."""
    name = Path(file).name
    what = discovery.what_is(name, EXTENSIONS)
    language = discovery.language_of(name, EXTENSIONS)
    assert what is not None, file
    assert language is not None, file
    return Found(ROOT / file, file, what, language)
