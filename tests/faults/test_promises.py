"""The scenarios of `make soak` in small, each a promise that holds whatever happens."""

from __future__ import annotations

from pathlib import Path

from tests.faults.scenarios import kills, power
from tests.faults.scenarios.scale import Scale


def test_kills_of_orchestrator_and_runners_lose_nothing_and_keep_order(tmp_path: Path) -> None:
    kills.run(tmp_path, Scale(events=600, faults=3))


def test_what_was_answered_outlives_a_power_cut(tmp_path: Path) -> None:
    power.run(tmp_path, Scale(events=0, faults=3))
