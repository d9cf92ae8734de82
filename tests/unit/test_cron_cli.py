"""`stepweave cron` on a project that no server runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepweave import cli
from stepweave.cli.banner import Facts, banner
from stepweave.engine.store.peek import paused_steps
from stepweave.paint import Paint
from stepweave.steps.model import Entry, Found
from stepweave.steps.registry import Registry
from tests.unit.cron_kit import step

AUDIT = """
config = {
    "type": "cron", "name": "Audit", "cron": "0 9 * * MON", "timezone": "Europe/Berlin",
    "emits": [],
}

def handler(context):
    pass
"""


class Desk:
    """A project's folder, and what the last command said."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys
        self.out = self.err = ""

    def run(self, *words: str) -> int:
        code = cli.main(["cron", *words, "--dir", str(self.root)])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *words: str) -> Any:
        assert self.run(*words, "--json") == 0, self.err
        return json.loads(self.out)

    def steps(self, *words: str) -> str:
        assert cli.main(["steps", str(self.root), *words]) == 0
        return self._capsys.readouterr().out


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    (tmp_path / "steps").mkdir()
    return Desk(tmp_path, capsys)


def test_a_step_is_paused_shown_so_everywhere_and_resumed(desk: Desk) -> None:
    (desk.root / "steps" / "audit.step.py").write_text(AUDIT)
    storage = desk.root / ".stepweave"
    assert "(paused)" not in desk.steps() and paused_steps(storage) == set()
    assert not storage.exists()

    assert desk.run("pause", "Audit") == 0
    assert desk.out.startswith("Audit is paused")
    assert desk.run("list") == 0
    head, row = desk.out.splitlines()
    assert head.split() == ["NAME", "CRON", "ZONE", "NEXT", "LAST"]
    assert row.split() == ["Audit", "0", "9", "*", "*", "MON", "Europe/Berlin", "paused", "never"]
    assert "0 9 * * MON (paused)" in desk.steps()
    assert json.loads(desk.steps("--json"))["paused"] == ["Audit"]

    assert desk.run("resume", "Audit") == 0
    assert desk.out == "Audit runs at its times again\n"
    assert not desk.json("list")["cron"][0]["paused"]


def test_the_next_times_are_printed(desk: Desk) -> None:
    (desk.root / "steps" / "audit.step.py").write_text(AUDIT)

    assert desk.run("next", "Audit", "-n", "3") == 0
    lines = desk.out.splitlines()
    assert len(lines) == 3 and all("09:00:00+0" in line for line in lines)
    assert [each["time"] for each in desk.json("next", "Audit", "-n", "3")["next"]] == [
        line.partition("  ")[0] for line in lines
    ]


def test_a_step_cannot_be_run_without_a_server(desk: Desk) -> None:
    (desk.root / "steps" / "audit.step.py").write_text(AUDIT)

    assert desk.run("run", "Audit") == 2
    assert "`stepweave run Audit`" in desk.err
    assert desk.run("pause", "Audti") == 1
    assert desk.err == 'stepweave: there is no cron step "Audti"; there are: Audit\n'


def test_no_cron_steps_are_said_to_be_none(desk: Desk) -> None:
    assert desk.run("list") == 0
    assert (desk.out, desk.err) == ("", "there are no cron steps\n")


@pytest.mark.parametrize("words", [[], ["bury"], ["next"], ["next", "A", "-n", "0"], ["run"]])
def test_what_is_asked_for_wrongly_is_refused(desk: Desk, words: list[str]) -> None:
    assert desk.run(*words) == 2
    assert desk.err


def test_every_subcommand_explains_itself_with_examples(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for word in ("list", "next", "run", "pause", "resume"):
        assert cli.main(["cron", word, "--help"]) == 0
        help = capsys.readouterr().out
        assert f"examples:\n  stepweave cron {word}" in help and "--json" in help


def test_the_banner_shows_what_is_paused() -> None:
    steps = [step("Audit", "0 9 * * *"), step("Report", "0 10 * * *")]
    entries = [Entry(Found(each.path, each.relpath, each.language, "step"), each) for each in steps]
    facts = Facts(
        version="1", name="shop", mode="production", url="http://localhost", workbench=None,
        registry=Registry.build(entries, ()), runners={}, took_s=0.1,
        next_runs={"Audit": 60_000, "Report": 60_000}, now=0, paused={"Audit"},
    )  # fmt: skip
    rows = [line.split() for line in banner(facts, Paint(False)).splitlines()]

    assert ["Audit", "0", "9", "*", "*", "*", "paused"] in rows
    assert ["Report", "0", "10", "*", "*", "*", "in", "1", "min"] in rows
