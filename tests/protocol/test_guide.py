"""docs/writing-a-runner.md and the pages of protocol/ speak of what is there."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from stepweave import conformance, files
from stepweave.conformance import catalogue, patterns, scenario

HOUSE = Path(__file__).parents[2]
GUIDE = HOUSE / "docs" / "writing-a-runner.md"
PAGES = [GUIDE, *sorted((HOUSE / "protocol").glob("**/*.md"))]
SCENARIOS = files.path("protocol", "scenarios", "README.md").read_text()


def test_the_guide_names_every_capability_and_real_options() -> None:
    text = GUIDE.read_text()
    assert set(re.findall(r"^\| `(\w+)` \| .* \| .* \|$", text, re.MULTILINE)) >= set(
        catalogue.load().capabilities
    )
    parser = argparse.ArgumentParser()
    conformance.add_arguments(parser)
    known = set(parser._option_string_actions)
    assert set(re.findall(r"(--[a-z][a-z-]*)", text)) <= known


def test_the_page_of_the_scenarios_names_every_verb_form_and_field() -> None:
    named = set(re.findall(r"`\{?\$?(\w+)", SCENARIOS))
    assert set(scenario.VERBS) <= named
    assert set(patterns.FORMS) <= named
    assert set(scenario.KEYS) <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOUSE)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]*)(?:#[^)]*)?\)", page.read_text()):
        assert not target or (page.parent / target).exists(), target
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        headings = re.findall(r"^#+ (.+)$", (page.parent / target).read_text(), re.MULTILINE)
        anchors = {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
        }
        assert anchor in anchors
