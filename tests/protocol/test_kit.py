"""The kit against a toy that misbehaves in known ways: what it finds and what it says."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from stepweave import conformance, files
from stepweave.conformance.scenario import Act, Scenario
from tests.protocol.kit_runs import Run, play

TOY = Path(__file__).with_name("toy_runner.py")
FIXTURES = files.path("protocol", "fixtures", "python")
PING = (Act("send", [0, 1, "ping", {}]), Act("expect", [1, 1, None, {}]))


def ping(name: str = "toy/ping", *more: Act, **fields: object) -> Scenario:
    return Scenario(name, "9.23", (*PING, *more), **fields)  # type: ignore[arg-type]


def run(how: str, *scenarios: Scenario, limit_s: float = 10.0, known: Path | None = None) -> Run:
    argv = [sys.executable, str(TOY), how]
    return play(argv, FIXTURES, scenarios or (ping(),), limit_s=limit_s, known=known)


def test_a_good_runner_passes() -> None:
    assert run("well", ping("toy/one"), ping("toy/two")).text == "2 passed, 0 failed, 0 skipped\n"


def test_a_runner_that_dies_before_the_handshake_is_told_once() -> None:
    text = run("dies", ping("toy/one"), ping("toy/two"), ping("toy/three")).text
    assert text.count("FAIL") == 1
    assert "initialize was not answered: the runner left with exit code 1" in text
    assert "    no such module: zod" in text
    assert text.endswith("0 passed, 1 failed, 3 skipped\n")


def test_a_command_that_cannot_be_started_is_told() -> None:
    done = play(["/nowhere/runner"], FIXTURES, [ping()])
    assert "/nowhere/runner cannot be started: No such file or directory" in done.text


def test_text_on_stdout_before_the_handshake_is_shown_as_text() -> None:
    text = run("babbles").text
    assert "the bytes are the text 'hello, world" in text
    assert "did something print to the pipe?" in text


def test_an_incomplete_handshake_is_told() -> None:
    assert "the answer to initialize lacks runner" in run("says little").text


def test_a_failure_names_scenario_section_place_and_both_values() -> None:
    wrong = Scenario("toy/wrong", "9.23", (PING[0], Act("expect", [1, 1, None, {"n": {"m": 1}}])))
    text = run("well", wrong).text
    assert text.startswith(
        'FAIL toy/wrong (SPEC 9.23): line 2 (expect): at result.n: got nothing, expected {"m": 1}; '
        "the frame is [1, 1, null, {}]\n"
    )


def test_a_death_in_the_middle_is_told_with_its_last_words_and_the_rest_runs() -> None:
    done = run("dies later", ping("toy/one"), ping("toy/two"))
    assert done.text.count("the runner left with exit code 1") == 2
    assert done.text.count("out of ideas") == 2


def test_silence_is_told_after_the_limit() -> None:
    assert "nothing came for 0.2 s; expected [1, 1, null, {}]" in run("is silent", limit_s=0.2).text


def test_a_second_answer_is_found_though_the_script_is_done() -> None:
    assert "after the script: an unexpected frame [1, 1, null, {}]" in run("answers twice").text


def test_another_shape_is_told_with_the_frame() -> None:
    assert "none of the three shapes (SPEC 3.1): [1, 1, null]" in run("breaks shape").text


def test_records_are_passed_over_unless_they_are_expected() -> None:
    expecting = Scenario(
        "toy/log",
        "9.22",
        (PING[0], Act("expect", [2, "log", {"message": "two"}]), Act("expect", [1, 1, None, {}])),
    )
    assert run("logs much", ping(), expecting).text == "2 passed, 0 failed, 0 skipped\n"


def test_a_record_that_does_not_come_is_told_with_the_closest() -> None:
    expecting = Scenario(
        "toy/log", "9.22", (PING[0], Act("expect", [2, "log", {"message": "three"}]))
    )
    text = run("logs much", expecting).text
    assert "2 records were passed over, in the closest at params.message: got" in text


def test_any_order_is_any_order() -> None:
    both = Scenario(
        "toy/both",
        "3.3",
        (
            Act("send_together", [[0, 1, "ping", {}], [0, 2, "ping", {}]]),
            Act("expect_all", [[1, 2, None, {}], [1, 1, None, {}]]),
        ),
    )
    assert run("well", both).failures == []


def test_what_the_runner_does_not_claim_is_skipped_with_the_reason() -> None:
    text = run("well", ping("toy/one", needs=("reload",)), ping("toy/two", needs=("reload",))).text
    assert text == "skipped 2: the runner does not claim reload\n0 passed, 0 failed, 2 skipped\n"


def test_a_missing_fixture_skips_and_a_missing_required_one_fails(tmp_path: Path) -> None:
    argv = [sys.executable, str(TOY), "well"]
    done = play(argv, tmp_path, [ping("toy/a", steps=("late",)), ping("toy/b", steps=("echo",))])
    assert done.skips == ["toy/a: there is no fixture late"]
    assert done.failures == ["toy/b: there is no fixture echo"]


def test_known_failures_run_and_are_named_when_they_pass(tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text("# not yet\ntoy/wrong*  # soon\ntoy/right\n")
    wrong = Scenario("toy/wrong-one", "9.23", (PING[0], Act("expect", [1, 2, None, {}])))
    done = run("well", wrong, ping("toy/right"), known=known)
    assert "toy/right passes now; take it from the list of known failures" in done.text
    assert done.text.endswith("1 passed, 0 failed, 1 skipped\n")
    assert not done.report.failed


def test_the_end_of_a_process_can_be_expected() -> None:
    leaving = ping("toy/leaves", Act("close", "stdin"), Act("exit", 0), fresh=True)
    assert run("well", leaving, ping("toy/next")).text == "2 passed, 0 failed, 0 skipped\n"


def test_a_trace_shows_both_directions_with_payloads_opened() -> None:
    script = (Act("send", [0, 1, "ping", {"data": {"JSON": {"n": 7}}}]), PING[1])
    argv = [sys.executable, str(TOY), "well"]
    text = play(argv, FIXTURES, [Scenario("toy/x", "9.23", script)], trace=True).text
    assert "toy/x (SPEC 9.23)" in text
    assert '  → [0, 1, "ping", {"data": {"json": {"n": 7}}}]' in text
    assert "  ← [1, 1, null, {}]" in text


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    conformance.add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_command_line_gives_0_for_a_pass_and_1_for_a_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ("--fixtures", str(FIXTURES), "--run", "handshake/ping*", "--")
    assert conformance.run(options(*chosen, sys.executable, str(TOY), "well")) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed, 0 skipped\n"
    assert conformance.run(options(*chosen, sys.executable, str(TOY), "answers twice")) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --runner NAME, or --fixtures DIR"),
        (("--runner", "cobol"), "there is no runner cobol here, only node, python, ruby"),
        (("--fixtures", "/nowhere", "--", "x"), "/nowhere is no folder"),
        (("--runner", "python", "--run", "nothing/*"), "no scenario has a name like nothing/*"),
        (("--runner", "python", "--known-failing", "/nowhere"), "/nowhere: cannot be read"),
    ],
)
def test_a_wrong_command_line_is_explained(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert conformance.run(options(*arguments)) == 2
    assert message in capsys.readouterr().err


def test_the_list_names_scenarios_and_sections(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.run(options("--list", "--run", "handshake/ping*")) == 0
    assert capsys.readouterr().out == "handshake/ping-is-answered-with-an-empty-map (SPEC 9.23)\n"
