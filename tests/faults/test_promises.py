"""The scenarios of `make soak` in small, each a promise that holds whatever happens."""

from __future__ import annotations

from pathlib import Path

from tests.faults.scenarios import SCENARIOS
from tests.faults.scenarios.scale import Scale


def _play(name: str, root: Path, *, events: int, faults: int) -> None:
    scenario, _, _ = SCENARIOS[name]
    scenario(root, Scale(events, faults))


def test_kills_of_orchestrator_and_runners_lose_nothing_and_keep_order(tmp_path: Path) -> None:
    _play("kills", tmp_path, events=600, faults=3)


def test_an_atomic_step_counts_each_event_once_under_kills(tmp_path: Path) -> None:
    _play("atomic", tmp_path, events=400, faults=3)


def test_trees_of_steps_in_three_languages_count_what_their_model_does(tmp_path: Path) -> None:
    _play("trees", tmp_path, events=15, faults=3)


def test_limits_of_a_key_hold_through_kills_and_restarts(tmp_path: Path) -> None:
    _play("limits", tmp_path, events=300, faults=3)


def test_what_was_answered_outlives_a_power_cut(tmp_path: Path) -> None:
    _play("power", tmp_path, events=0, faults=2)


def test_stopping_under_load_loses_nothing_and_runs_nothing_twice(tmp_path: Path) -> None:
    _play("drains", tmp_path, events=0, faults=2)


def test_edits_under_load_fail_no_request_and_lose_no_event(tmp_path: Path) -> None:
    _play("edits", tmp_path, events=0, faults=20)


def test_a_backlog_is_worked_off_once_in_bounded_memory_and_lets_new_events_pass(
    tmp_path: Path,
) -> None:
    _play("backlog", tmp_path, events=5_000, faults=0)


def test_a_flood_of_emits_is_slowed_down_and_loses_nothing(tmp_path: Path) -> None:
    _play("flood", tmp_path, events=15_000, faults=0)


def test_every_one_of_many_steps_is_served_and_gets_its_event(tmp_path: Path) -> None:
    _play("topics", tmp_path, events=200, faults=0)


def test_memory_and_files_stop_growing_while_events_flow(tmp_path: Path) -> None:
    _play("memory", tmp_path, events=10_000, faults=0)
