"""The command line: dispatch, options, and the texts that commands print."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stepweave
from stepweave import cli
from stepweave.cli import banner, changes, options, problems, words
from stepweave.paint import Paint
from stepweave.steps.model import Entry, Found, Kind, Problem, Step, Stream
from stepweave.steps.registry import Registry

BARE = Paint(color=False)
NOW = 1_700_000_000_000


def found(relpath: str, language: str = "python") -> Found:
    what: Any = "stream" if ".stream." in relpath else "step"
    return Found(Path("/p") / relpath, relpath, what, language)


def step(name: str, kind: Kind, relpath: str, language: str = "python", **more: Any) -> Step:
    return Step(name, kind, language, Path("/p") / relpath, relpath, config={}, **more)


def entry(item: Step | Stream, *wrong: Problem) -> Entry:
    return Entry(found(item.relpath, item.language), item, wrong)


def broken(relpath: str, *wrong: Problem) -> Entry:
    return Entry(found(relpath), None, wrong)


ORDER = step("Order", Kind.API, "steps/order.step.ts", "typescript", method="POST", route="/orders")
LIST = step("List", Kind.API, "steps/list.step.ts", "typescript", method="GET", route="/orders/:id")
PAY = step("Pay", Kind.EVENT, "steps/pay.step.rb", "ruby", subscribes=("order.created",))
AUDIT = step("Audit", Kind.CRON, "steps/audit.step.py", cron="0 9 * * 1")
PETS = Stream("pets", "python", Path("/p/steps/pets.stream.py"), "steps/pets.stream.py", {})
WRONG = Problem(
    "error", "load_failed", "NameError: x is not defined", "steps/bad.step.py", 3, 5,
    frame="  2 | def handler():\n> 3 |     x\n    |     ^", hint="define x",
)  # fmt: skip
ODD = Problem(
    "warning", "unknown_key", 'there is no key "emit"', "steps/pay.step.rb", hint="emits?"
)


# --- dispatch


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_the_version_is_printed(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word]) == 0
    assert capsys.readouterr().out == f"stepweave {stepweave.__version__}\n"


def test_the_version_needs_no_heavy_import() -> None:
    code = "import sys; from stepweave.cli import main; main(['-V']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"argparse", "asyncio", "anyio", "orjson", "msgpack"}.intersection(
        done.stdout.split()
    )


@pytest.mark.parametrize("argv", [["--help"], ["help"], []])
def test_help_names_every_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == (0 if argv else 2)
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in cli.COMMANDS)


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name != "version"])
def test_every_command_explains_itself_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "examples:" in text and f"stepweave {name}" in text
    assert cli.main(["help", name]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")

    assert f"\n### `stepweave {name}" in text


def test_an_unknown_command_is_refused_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["stpes"]) == 2
    assert 'there is no command "stpes"; did you mean "steps"?' in capsys.readouterr().err
    assert cli.main(["zzz"]) == 2
    assert "there are: dev, start" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["dev", "--prot", "1"], ["dev", "--port", "x"], ["dev", "--port", "70000"], ["run"]]
)
def test_a_wrong_option_is_a_usage_error(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    assert "usage: " in capsys.readouterr().err


def test_a_folder_without_a_project_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dev", "start", "steps", "doctor"):
        assert cli.main([name, str(tmp_path)]) == 2
        assert "holds no project" in capsys.readouterr().err
    assert cli.main(["run", "X", "--dir", str(tmp_path)]) == 2


def test_a_wrong_setting_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stepweave.toml").write_text("[server]\nprot = 1")

    assert cli.main(["dev", str(tmp_path)]) == 2
    assert 'did you mean "port"?' in capsys.readouterr().err


def test_a_wrong_log_level_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "steps").mkdir()
    monkeypatch.setenv("LOG_LEVEL", "loud")

    assert cli.main(["steps", str(tmp_path)]) == 2
    assert '"loud" is not one of debug, info' in capsys.readouterr().err


def test_an_interrupt_and_a_closed_pipe_end_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    from stepweave.cli import doctor

    def interrupted(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupted)
    assert cli.main(["doctor"]) == 130


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    command = f"{sys.executable} -m stepweave doctor {tmp_path} | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "argv",
    [
        ["-p", "80", "-H", "::1", "-d", "-v", "-m"],
        ["--port", "80", "--host", "::1", "--debug", "--disable-verbose", "--mermaid"],
    ],
)
def test_motias_flags_are_understood(argv: list[str]) -> None:
    from stepweave.cli import dev

    parser = argparse.ArgumentParser()
    dev.add_arguments(parser)
    args = parser.parse_args(argv)

    assert (args.port, args.host, args.debug, args.disable_verbose) == (80, "::1", True, True)


def test_the_project_is_found_from_inside_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "steps" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "steps" / "deep")

    assert options.open_project(None).root == tmp_path
    assert options.open_project("../..").root == tmp_path


# --- words


def test_sizes_and_counts_read_well() -> None:
    assert [words.size(count) for count in (0, 1023, 1536, 5 << 20, 3 << 40)] == [
        "0 B", "1023 B", "1.5 kB", "5.0 MB", "3072.0 GB",
    ]  # fmt: skip
    assert [words.plural(count, "step") for count in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    assert [words.language(name) for name in ("typescript", "ruby")] == ["TypeScript", "Ruby"]


def test_times_to_come_are_told_in_the_nearest_unit() -> None:
    assert words.until(NOW - 5, NOW) == "in 0 s"
    assert words.until(NOW + 42_000, NOW) == "in 42 s"
    assert words.until(NOW + 5 * 60_000, NOW) == "in 5 min"
    assert words.until(NOW + 3 * 3_600_000, NOW).startswith("in 3 h, at ")
    assert "2023" in words.until(NOW + 3 * 86_400_000, NOW)


# --- problems


def test_a_problem_shows_its_place_its_source_and_the_cure() -> None:
    assert problems.render([WRONG], BARE).splitlines() == [
        "✖ steps/bad.step.py:3:5  NameError: x is not defined",
        "      2 | def handler():",
        "    > 3 |     x",
        "        |     ^",
        "  → define x",
    ]


def test_the_gravest_problems_come_first() -> None:
    note = Problem("info", "x", "by the way", "a")
    text = problems.render([note, ODD, WRONG], BARE)

    assert [line[0] for line in text.splitlines() if line[0] in "✖⚠i"] == ["✖", "⚠", "i"]
    assert problems.count([note, ODD, WRONG, WRONG]) == "2 errors, 1 warning"
    assert problems.count([note]) == ""


# --- banner


def facts(registry: Registry, **more: Any) -> banner.Facts:
    given: dict[str, Any] = {
        "version": "1.2.3", "name": "shop", "mode": "development", "url": "http://localhost:5173",
        "workbench": "http://localhost:5173/_stepweave/", "registry": registry,
        "runners": {"typescript": ("node", "20.1"), "ruby": ("ruby", "it is not installed")},
        "next_runs": {"Audit": NOW + 60_000}, "now": NOW, "took_s": 0.4,
    }  # fmt: skip
    return banner.Facts(**given | more)


def test_the_banner_shows_where_what_and_what_is_wrong() -> None:
    registry = Registry.build(
        [entry(ORDER), entry(LIST), entry(PAY, ODD), entry(AUDIT), entry(PETS),
         broken("steps/bad.step.py", WRONG)]
    )  # fmt: skip
    text = banner.banner(facts(registry), BARE)

    assert "Stepweave 1.2.3  shop  development" in text
    assert "➜ http://localhost:5173/_stepweave/  workbench" in text
    assert "    POST    /orders      steps/order.step.ts" in text
    assert "    GET     /orders/:id  steps/list.step.ts" in text
    assert "    Audit  0 9 * * 1  in 1 min" in text
    assert "    pets" in text
    assert "    2 TypeScript  node 20.1" in text
    assert "    1 Ruby        ruby it is not installed" in text
    assert "    1 Python      no runner" in text
    assert "  ✖ steps/bad.step.py:3:5" in text
    assert "  4 steps ready in 400 ms, 1 error, " in text


def test_a_project_without_steps_is_told_how_to_begin() -> None:
    text = banner.banner(facts(Registry()), BARE)

    assert "write steps/hello.step.py" in text
    assert "routes" not in text and "cron" not in text


def test_many_routes_do_not_fill_the_screen() -> None:
    many = [
        step(f"S{n}", Kind.API, f"steps/s{n:03}.step.py", method="GET", route=f"/s{n}")
        for n in range(60)
    ]
    text = banner.banner(facts(Registry.build(map(entry, many))), BARE)

    assert text.count("    GET ") == 40
    assert "… 20 more: stepweave steps" in text


def test_production_shows_no_workbench_and_notes_come_along() -> None:
    text = banner.banner(facts(Registry(), workbench=None, notes=["port 1 is in use"]), BARE)

    assert "workbench" not in text
    assert "⚠ port 1 is in use" in text


# --- reload


def test_a_reload_names_what_came_changed_and_left() -> None:
    newer = step("Pay", Kind.EVENT, PAY.relpath, "ruby", subscribes=("x",), revision=2)
    old = Registry.build([entry(PAY), entry(ORDER), entry(LIST)])
    new = Registry.build([entry(newer), entry(ORDER), entry(AUDIT)])
    lines = changes.changes(old, new, BARE).splitlines()

    assert "➜ added    steps/audit.step.py  Audit (cron)" in lines
    assert "➜ removed  steps/list.step.ts" in lines
    assert "➜ updated  steps/pay.step.rb  Pay (event)" in lines
    assert not any("order.step.ts" in line for line in lines)


def test_a_reload_that_changes_nothing_says_nothing() -> None:
    registry = Registry.build([entry(ORDER), broken("steps/bad.step.py", WRONG)])

    assert changes.changes(registry, registry, BARE) == ""


def test_a_step_that_no_longer_loads_is_said_to_go_on() -> None:
    old = Registry.build([entry(PAY)])
    new = Registry.build([entry(PAY, WRONG)])
    text = changes.changes(old, new, BARE)

    assert "✖ steps/bad.step.py:3:5  NameError" in text
    assert "Pay goes on with its last good version" in text
    assert changes.changes(new, old, BARE) == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_output_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    words = [sys.executable, "-m", "stepweave", "steps", str(tmp_path)]
    with open("/dev/full", "w") as full:
        told = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr == ("stepweave: the output cannot be written: No space left on device\n")


def test_commands_work_with_their_output_closed(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / ".stepweave").mkdir()
    command = f'exec "{sys.executable}" -m stepweave state set g k 1 --dir "{tmp_path}" >&-'
    told = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
