"""The scenarios of `make soak` in small, each a promise that holds whatever happens."""

from __future__ import annotations

from pathlib import Path

from tests.faults.scenarios import (
    atomic,
    backlog,
    drains,
    edits,
    flood,
    kills,
    limits,
    memory,
    power,
    topics,
    trees,
)
from tests.faults.scenarios.scale import Scale


def test_kills_of_orchestrator_and_runners_lose_nothing_and_keep_order(tmp_path: Path) -> None:
    kills.run(tmp_path, Scale(events=600, faults=3))


def test_an_atomic_step_counts_each_event_once_under_kills(tmp_path: Path) -> None:
    atomic.run(tmp_path, Scale(events=400, faults=3))


def test_trees_of_steps_in_three_languages_count_what_their_model_does(tmp_path: Path) -> None:
    trees.run(tmp_path, Scale(events=15, faults=3))


def test_limits_of_a_key_hold_through_kills_and_restarts(tmp_path: Path) -> None:
    limits.run(tmp_path, Scale(events=300, faults=3))


def test_what_was_answered_outlives_a_power_cut(tmp_path: Path) -> None:
    power.run(tmp_path, Scale(events=0, faults=2))


def test_stopping_under_load_loses_nothing_and_runs_nothing_twice(tmp_path: Path) -> None:
    drains.run(tmp_path, Scale(events=0, faults=2))


def test_edits_under_load_fail_no_request_and_lose_no_event(tmp_path: Path) -> None:
    edits.run(tmp_path, Scale(events=0, faults=20))


def test_a_backlog_is_worked_off_once_in_bounded_memory_and_lets_new_events_pass(
    tmp_path: Path,
) -> None:
    backlog.run(tmp_path, Scale(events=5_000, faults=0))


def test_a_flood_of_emits_is_slowed_down_and_loses_nothing(tmp_path: Path) -> None:
    flood.run(tmp_path, Scale(events=15_000, faults=0))


def test_every_one_of_many_steps_is_served_and_gets_its_event(tmp_path: Path) -> None:
    topics.run(tmp_path, Scale(events=200, faults=0))


def test_memory_and_files_stop_growing_while_events_flow(tmp_path: Path) -> None:
    memory.run(tmp_path, Scale(events=10_000, faults=0))
