"""messages.yaml, SPEC.md, the orchestrator and the runners say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepweave import files
from stepweave.conformance import catalogue, scenario
from stepweave.rpc import messages

CATALOGUE = catalogue.load()
SPEC = files.path("protocol", "SPEC.md").read_text()
SOURCES = {
    "python": ("stepweave_runner/**/*.py",),
    "node": ("src/**/*.ts",),
    "ruby": ("lib/**/*.rb", "exe/*"),
}


def test_the_tables_of_the_specification_are_those_of_the_catalogue() -> None:
    assert catalogue.write_tables(SPEC, CATALOGUE) == SPEC


def test_every_method_has_its_section_with_a_purpose() -> None:
    for name in CATALOGUE.messages:
        assert re.search(
            rf"^### 9\.\d+ `{re.escape(name)}`\n\n\*\*Purpose\.\*\* ", SPEC, re.MULTILINE
        ), name
        assert f"<!-- message: {name} -->" in SPEC


def test_sections_are_numbered_without_gaps() -> None:
    numbers = [
        tuple(map(int, text.split(".")))
        for text in re.findall(r"^#{2,3} ([\d.]+) ", SPEC, re.MULTILINE)
    ]
    before = (0,)
    for number in numbers:
        following = (
            (before[0] + 1,)
            if len(number) == 1
            else (before[0], (before[1] if len(before) > 1 else 0) + 1)
        )
        assert number == following
        before = number


def test_references_within_the_specification_lead_somewhere() -> None:
    sections = set(re.findall(r"^#{2,3} ([\d.]+) ", SPEC, re.MULTILINE))
    prose = re.sub(r"```.*?```", "", SPEC, flags=re.DOTALL)
    assert set(re.findall(r"\((\d+\.\d+)\)", prose)) <= sections


def test_types_and_error_codes_are_known() -> None:
    words = {"or", *CATALOGUE.types}
    for message in CATALOGUE.messages.values():
        assert set(message.errors) <= set(CATALOGUE.errors), message.name
        assert message.capability is None or message.capability in CATALOGUE.capabilities
        for field in (*message.params, *message.result):
            assert set(re.findall(r"\w+", field.type)) <= words, (message.name, field)


def test_the_orchestrator_knows_the_same_methods_and_codes() -> None:
    by_direction = {
        "orchestrator-to-runner": messages.TO_RUNNER,
        "runner-to-orchestrator": messages.FROM_RUNNER,
        "both": messages.BOTH_WAYS,
    }
    for direction, known in by_direction.items():
        named = {
            name for name, message in CATALOGUE.messages.items() if message.direction == direction
        }
        assert set(known) == named
    assert set(CATALOGUE.errors) == messages.ERROR_CODES
    assert messages.VERSIONS == (1, CATALOGUE.protocol)


def test_every_method_and_capability_has_a_scenario() -> None:
    scenarios = scenario.load()
    seen = {name for item in scenarios for act in item.script for name in _methods(act.argument)}
    assert set(CATALOGUE.messages) <= seen
    needed = {name for item in scenarios for name in item.needs}
    assert needed == set(CATALOGUE.capabilities)


@pytest.mark.parametrize("runner", SOURCES)
def test_a_runner_names_every_method_and_parameter(runner: str) -> None:
    source = _source(files.path("runners", runner), SOURCES[runner])
    for name, message in CATALOGUE.messages.items():
        group, _, short = name.rpartition(".")
        assert name in source or (group and short in source), f"{runner} does not know {name}"
        for field in (*message.params, *message.result):
            if field.name and not _unread(message, field):
                camel = re.sub(r"_(\w)", lambda match: match[1].upper(), field.name)
                assert re.search(rf"\b({field.name}|{camel})\b", source), (
                    f"{runner}: {name}.{field.name}"
                )


def _methods(value: Any) -> Iterator[str]:
    """The methods of the frames in an act."""
    if not isinstance(value, list):
        return
    if len(value) == 4 and value[0] == 0:
        yield value[2]
    elif len(value) == 3 and value[0] == 2:
        yield value[1]
    for item in value:
        yield from _methods(item)


def _unread(message: catalogue.Message, field: catalogue.Field) -> bool:
    """What a runner may ignore: optional fields of what it receives, facts for people."""
    received = message.direction == "orchestrator-to-runner" and field in message.params
    return received and (field.optional or field.name in ("orchestrator", "environment"))


def _source(folder: Path, globs: tuple[str, ...]) -> str:
    found = [path for glob in globs for path in folder.glob(glob) if path.is_file()]
    return "\n".join(path.read_text() for path in found if ".test." not in path.name)
