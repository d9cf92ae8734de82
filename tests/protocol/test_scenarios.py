"""The scenarios and fixtures themselves: their form, what they cite, what they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stepweave import files
from stepweave.conformance import scenario
from stepweave.conformance.fixtures import Fixtures
from stepweave.errors import UsageError

SCENARIOS = scenario.load()
LANGUAGES = ("node", "python", "ruby")
README = files.path("protocol", "fixtures", "README.md").read_text()
SPEC = files.path("protocol", "SPEC.md").read_text()


def test_each_cites_a_section_that_exists() -> None:
    sections = set(re.findall(r"^### ([\d.]+) ", SPEC, re.MULTILINE))
    assert {item.spec for item in SCENARIOS} <= sections


def test_names_are_a_theme_and_what_holds() -> None:
    for item in SCENARIOS:
        assert re.fullmatch(r"[a-z]+/[a-z0-9-]+(\[.*\])?", item.name), item.name


def test_every_rule_with_a_must_has_a_scenario() -> None:
    """But for rules about the orchestrator, and about what cannot be seen from outside."""
    unseen = {"4.3", "5.1", "9.10", "3.3"}
    cited = {item.spec for item in SCENARIOS}
    parts = re.split(r"^#{2,3} ([\d.]+) .*$", SPEC, flags=re.MULTILINE)
    required = {
        number for number, text in zip(parts[1::2], parts[2::2], strict=True) if "MUST" in text
    }
    assert required - cited - unseen == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_languages_have_every_fixture(language: str) -> None:
    fixtures = Fixtures(files.path("protocol", "fixtures", language))
    for item in scenario.load(language=language):
        for name in item.fixtures:
            assert fixtures.find(name), f"{language} lacks {name}"


def test_every_fixture_is_described_and_used() -> None:
    described = _described(README)
    used = {name for item in SCENARIOS for name in item.fixtures if "/" not in name}
    assert described == used
    for language in LANGUAGES:
        folder = files.path("protocol", "fixtures", language)
        there = {re.split(r"[._]", path.name)[0] for path in folder.iterdir() if path.is_file()}
        assert there == described, language


def test_the_required_fixtures_are_those_of_the_first_table() -> None:
    first = README.split("## Needed where")[0]
    assert set(scenario.defaults().required) == _described(first)


def _described(text: str) -> set[str]:
    """The fixtures in the tables whose second column is a kind."""
    return set(
        re.findall(r"^\| `([a-z]+)` \| (?:api|event|cron|noop|stream|none) \|", text, re.MULTILINE)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{name: theme/x, spec: 1, script: [{dance: 1}]}]", "unknown verb"),
        ("[{name: other/x, spec: 1, script: []}]", "must begin with the theme"),
        ("[{name: theme/x, spec: 1, script: [], mood: good}]", "unknown fields mood"),
        ("[{name: theme/x, script: []}]", "spec"),
        ("[{name: theme/x, spec: 1, script: [send]}]", "one `verb: argument`"),
        ("{name: theme/x}", "holds no list"),
        (
            "[{name: theme/x, spec: 1, script: []}, {name: theme/x, spec: 1, script: []}]",
            "two scenarios",
        ),
    ],
)
def test_a_wrong_form_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "theme.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        scenario.load(folder=tmp_path)


def test_rows_make_a_scenario_each_with_their_names_bound(tmp_path: Path) -> None:
    (tmp_path / "theme.yaml").write_text(
        "[{name: theme/x, spec: 1, each: [{n: 1, m: a}, {n: 2, m: b}], script: []}]"
    )
    one, two = scenario.load(folder=tmp_path)
    assert (one.name, one.row) == ("theme/x[1]", {"n": 1, "m": "a"})
    assert two.name == "theme/x[2]"
