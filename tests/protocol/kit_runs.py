"""Runs of the conformance kit within a test, and the commands of the runners to run it on."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from stepweave import files
from stepweave.conformance import scenario
from stepweave.conformance.fixtures import Fixtures
from stepweave.conformance.kit import Command, Kit
from stepweave.conformance.report import KnownFailing, Report
from stepweave.errors import StepweaveError
from stepweave.runners import manifest


class Run:
    """A finished run: its report and what it printed."""

    def __init__(self, report: Report, text: str) -> None:
        self.report = report
        self.text = text

    @property
    def failures(self) -> list[str]:
        return self._with("failed")

    @property
    def skips(self) -> list[str]:
        return self._with("skipped")

    def _with(self, status: str) -> list[str]:
        results = self.report.results
        return [f"{one.name}: {one.reason}" for one in results if one.status == status]


def play(
    argv: Sequence[str],
    fixtures: Path,
    scenarios: Sequence[scenario.Scenario] | str = "*",
    *,
    limit_s: float = 60.0,
    known: Path | None = None,
    trace: bool = False,
) -> Run:
    """Run the kit on a command; scenarios are chosen by a glob or given."""
    folder = Fixtures(fixtures)
    chosen = scenario.load(scenarios, folder.language) if isinstance(scenarios, str) else scenarios
    out = io.StringIO()
    report = Report(out, KnownFailing(known))
    anyio.run(Kit(Command(argv, folder, limit_s), report, trace).run, list(chosen))
    report.close()
    return Run(report, out.getvalue())


def command(name: str) -> list[str]:
    """The command of one of our runners; without its runtime skips the test, but not in CI."""
    try:
        found = manifest.load(files.path("runners", name))
        interpreter, _ = manifest.find_interpreter(found, Path.cwd(), None)
        if name == "node":
            files.path("runners", "node", "dist", "main.cjs")
    except StepweaveError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    return found.command(interpreter)
