"""The guide for step authors says what the code does."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stepweave import files
from stepweave.steps import keys, shorthand
from stepweave.steps.parse import parse
from stepweave.steps.patterns import compile

from .vectors import found

GUIDE = (files.PACKAGE.parents[1] / "docs" / "steps.md").read_text()
SOURCES = "\n".join(file.read_text() for file in sorted((files.PACKAGE / "steps").glob("*.py")))
PYTHON = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def table(heading: str) -> list[list[str]]:
    """The rows of the first table after a heading, as the code words of their first cell."""
    rows = GUIDE.split(f"{heading}\n", 1)[1].split("|---", 1)[1].split("\n\n", 1)[0].splitlines()
    return [re.findall(r"`([^`]+)`", row.split(" | ")[0]) for row in rows if row.startswith("| ")]


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_a_python_example_of_the_guide_is_a_config_without_problems(block: str) -> None:
    names: dict[str, Any] = {}
    exec(block, names)
    config = names["config"]
    file = "steps/x.step.py" if "type" in config else "steps/x_stream.py"

    assert parse(found(file), config, ["handler"]).problems == ()


def test_the_guide_lists_every_code_of_a_problem() -> None:
    used = set(re.findall(r'"(?:error|warning|info)",\s*"([a-z]+_[a-z_]+|unavailable)"', SOURCES))
    used |= set(re.findall(r'\.(?:error|_warn)\(\s*"([a-z]+_[a-z_]+)"', SOURCES))
    used |= set(re.findall(r'code = "(bad_[a-z]+)"', SOURCES))
    used |= {"duplicate_name", "duplicate_stream", "duplicate_route"}
    assert len(used) > 20

    listed = [code for row in table("## Problems") for code in row]

    assert sorted(listed) == sorted(used)


def test_the_guide_lists_every_key() -> None:
    known = {key for of_kind in keys.KEYS.values() for key in of_kind}

    assert [key for key in sorted(known) if f"`{key}`" not in GUIDE] == []


def test_the_guide_lists_every_type_word() -> None:
    rows = table("Shorthand names a type for each field:")
    words = {word for row in rows[:3] for text in row for word in text.split()}

    assert words == set(shorthand.WORDS)


def test_the_patterns_of_the_guide_are_patterns() -> None:
    for [pattern] in table("#### Paths"):
        compile(pattern.replace("\\\\", "\\"))
