"""What the doctor finds, in projects and installations made for it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stepweave import cli, files
from stepweave.cli import doctor
from stepweave.cli.checkup import Check, installation, project, runners
from stepweave.cli.checkup.check import ask
from stepweave.paint import Paint
from stepweave.project import Project
from stepweave.runners import manifest
from stepweave.runners.manifest import Manifest

STEP = 'config = {"type": "noop", "name": "Door"}'


def make(root: Path, files: dict[str, str] | None = None, **environment: str) -> Project:
    """A project of these files, with one Python step."""
    for name, text in {"steps/door.step.py": STEP, **(files or {})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Project.open(root, environment)


def statuses(checks: Any) -> dict[str, str]:
    return {check.name: check.status for check in checks}


def runner(folder: Path, name: str = "lua", **more: Any) -> Manifest:
    given: dict[str, Any] = {
        "argv": ("{interpreter}", "{dir}/main.lua"), "extensions": {".lua": name},
        "interpreter": sys.executable, "minimum": None, "install": "apt-get install lua5.4",
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.lua").write_text("")
    return Manifest(name=name, folder=folder, **given | more)


# --- the installation


def test_a_complete_installation_is_fine() -> None:
    assert set(statuses(installation.checks()).values()) == {"ok"}


def test_what_makes_it_slow_is_a_warning_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    def absent(name: str, package: str | None = None) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    found = {check.name: check for check in installation.checks()}

    assert found["uvloop"].status == found["httptools"].status == "warning"
    assert found["uvloop"].fix == "pip install uvloop"
    assert found["msgpack"].status == "warning" and "slower" in found["msgpack"].detail


def test_an_old_sqlite_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.31.1")

    (found,) = [check for check in installation.checks() if check.name == "sqlite"]
    assert found.status == "error" and "3.31.1 is too old" in found.detail


# --- runners


def test_an_interpreter_that_is_there_is_shown_with_what_needs_it(tmp_path: Path) -> None:
    found = runner(tmp_path / "lua")
    (check,) = runners.checks(found, make(tmp_path), {"lua": 2})

    assert check.status == "ok"
    assert check.detail.endswith(f"at {sys.executable}, for 2 Lua files")


def test_a_missing_interpreter_is_an_error_only_if_steps_need_it(tmp_path: Path) -> None:
    found = runner(tmp_path / "lua", interpreter="no-such-lua")
    it = make(tmp_path)

    (needed,) = runners.checks(found, it, {"lua": 1})
    assert needed.status == "error"
    assert needed.detail == "no-such-lua was not found, and 1 Lua file need it"
    assert needed.fix == "apt-get install lua5.4"
    (unused,) = runners.checks(found, it, {"python": 1})
    assert unused.status == "note" and "no step needs it" in unused.detail


def test_an_interpreter_that_is_too_old_is_an_error(tmp_path: Path) -> None:
    found = runner(tmp_path / "lua", minimum="99.1")
    (check,) = runners.checks(found, make(tmp_path), {"lua": 1})

    assert check.status == "error" and "steps need 99.1 or newer" in check.detail


def test_a_runner_that_is_not_built_says_how(tmp_path: Path) -> None:
    found = runner(tmp_path / "node", "node", argv=("{interpreter}", "{dir}/dist/main.cjs"))
    (check,) = runners.checks(found, make(tmp_path), {"node": 1})

    assert check.status == "error" and "make setup" in check.detail


def test_the_python_runner_tells_its_codec(tmp_path: Path) -> None:
    found = manifest.load(files.path("runners", "python"))
    checks = list(runners.checks(found, make(tmp_path), {"python": 1}))

    assert statuses(checks) == {"python runner": "ok", "python codec": "ok"}


def test_a_codec_that_is_slow_or_silent_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = manifest.load(files.path("runners", "python"))
    it = make(tmp_path)
    for answer, detail in (
        ((0, "pure"), "the pure one: every call is 7 to 18 times slower on the wire"),
        ((1, "Traceback\nImportError: no"), "cannot be told: ImportError: no"),
    ):
        monkeypatch.setattr(runners, "ask", lambda *_, answer=answer, **__: answer)
        checks = {check.name: check for check in runners.checks(found, it, {"python": 1})}
        assert checks["python codec"].status == "warning"
        assert checks["python codec"].detail == detail


def test_gems_that_are_missing_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = "gem\n/p/Gemfile: Could not find gem 'x'; run: bundle install"
    monkeypatch.setattr(runners, "ask", lambda *_, **__: (0, answer))
    found = runner(tmp_path / "ruby", "ruby")
    checks = {check.name: check for check in runners.checks(found, make(tmp_path), {"ruby": 1})}

    assert checks["ruby codec"].status == "ok"
    assert checks["gems"] == Check(
        "gems", "error", "/p/Gemfile: Could not find gem 'x'", "bundle install"
    )


def test_a_projects_own_runner_is_among_them(tmp_path: Path) -> None:
    text = '{"name": "lua", "argv": ["lua"], "extensions": [".lua"]}'
    it = make(
        tmp_path,
        {"lua/runner.json": text, "stepweave.toml": '[runners.lua]\npath = "lua"\n'
         '[runners.perl]\npath = "perl"'},
    )  # fmt: skip
    found = list(runners.manifests(it))

    assert [each.name for each in found if isinstance(each, Manifest)][-1] == "lua"
    (wrong,) = [each for each in found if isinstance(each, Check)]
    assert wrong.name == "perl runner" and wrong.status == "error"


# --- a project


def test_files_are_counted_and_names_that_look_wrong_are_told(tmp_path: Path) -> None:
    it = make(tmp_path, {"steps/a.step.rb": "", "steps/report-step.py": STEP})
    counts, checks = project.steps(it, {".py": "python", ".rb": "ruby"})

    assert counts == Counter(python=1, ruby=1)
    assert checks[0].detail == "2 files: 1 Ruby, 1 Python"
    assert any("report-step.py" in check.detail for check in checks[1:])


def test_a_project_without_steps_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    _, (check,) = project.steps(Project.open(tmp_path, {}), {".py": "python"})

    assert check.status == "warning" and "steps/ or src/" in check.detail


NODE = Counter(typescript=1)
PYTHON = Counter(python=1)


def test_npm_packages_that_are_not_installed_are_an_error(tmp_path: Path) -> None:
    package = '{"dependencies": {"zod": "4", "@a/b": "1", "motia": "0.17"}}'
    it = make(tmp_path, {"package.json": package})

    (check,) = project.dependencies(it, NODE, None)
    assert check.status == "error" and check.detail == "not installed: @a/b, zod"
    (tmp_path / "node_modules" / "zod").mkdir(parents=True)
    (tmp_path / "node_modules" / "@a" / "b").mkdir(parents=True)
    (check,) = project.dependencies(it, NODE, None)
    assert check.status == "ok"
    assert list(project.dependencies(it, PYTHON, None)) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"dependencies": 3}'])
def test_a_package_json_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    (check,) = project.dependencies(make(tmp_path, {"package.json": text}), NODE, None)

    assert check.status == "error"


def test_pip_packages_are_looked_for_where_steps_run(tmp_path: Path) -> None:
    text = "# ours\nanyio>=4\nno-such-package-x[extra]==1 # why\n-r other.txt\ngit+https://x/y\n"
    text += "only-there; sys_platform == 'win32'\n"
    pyproject = '[project]\ndependencies = ["orjson", "no-such-package-y>=2"]'
    it = make(tmp_path, {"requirements.txt": text, "pyproject.toml": pyproject})

    (check,) = project.dependencies(it, PYTHON, sys.executable)
    assert check.status == "error"
    assert check.detail == "not installed: no-such-package-x, no-such-package-y"
    assert check.fix == f"{sys.executable} -m pip install -r requirements.txt"
    make(tmp_path, {"requirements.txt": "anyio", "pyproject.toml": ""})
    (check,) = project.dependencies(it, PYTHON, sys.executable)
    assert check.status == "ok"


def test_a_project_without_requirements_needs_no_check(tmp_path: Path) -> None:
    assert list(project.dependencies(make(tmp_path), PYTHON, sys.executable)) == []


def test_a_pyproject_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    it = make(tmp_path, {"pyproject.toml": "= no"})
    (check,) = project.dependencies(it, PYTHON, sys.executable)

    assert check.status == "error"


def test_a_port_in_use_is_a_warning(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        assert project.port(make(tmp_path, PORT=number)).status == "warning"
    assert project.port(make(tmp_path, PORT="0")).status == "ok"
    assert project.port(make(tmp_path, HOST="192.0.2.1")).status == "error"


def test_storage_tells_its_size_its_holder_and_what_is_stale(tmp_path: Path) -> None:
    it = make(tmp_path)
    (check,) = project.storage(it)
    assert check.status == "ok" and "0 B used" in check.detail
    assert not it.storage.exists()

    it.storage.mkdir()
    (it.storage / "traces.sqlite.damaged").write_text("x" * 2048)
    (tmp_path / ".motia").mkdir()
    lock = it.storage / "lock"
    lock.write_text("4711\n")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        check, damaged, motia = project.storage(it)
    assert "2.0 kB used" in check.detail and "process 4711 runs this project" in check.detail
    assert damaged.fix == f"rm {it.storage / 'traces.sqlite.damaged'}"
    assert motia.status == "note" and ".motia" in motia.detail


def test_storage_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    (check,) = project.storage(make(tmp_path))

    assert check.status == "error" and "cannot be written" in check.detail


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    monkeypatch.setattr(project, "_LOW_DISK", shutil.disk_usage(tmp_path).total * 2)
    (check,) = project.storage(make(tmp_path))

    assert check.status == "warning" and check.fix == "free some space"


# --- the command


def test_the_report_has_a_line_a_finding_and_a_verdict() -> None:
    found = [Check("python", "ok", "3.12"), Check("lua runner", "error", "not found", "get lua")]
    lines = doctor.render(None, found, Paint(False)).splitlines()

    assert lines[2:] == [
        "  ✔ python      3.12",
        "  ✖ lua runner  not found",
        "                → get lua",
        "",
        "  1 missing or broken: the steps that need it do not run",
    ]
    assert "nothing is missing" in doctor.render(None, [Check("a", "warning", "b")], Paint(False))
    assert "everything is in place" in doctor.render(None, found[:1], Paint(False))


def test_a_healthy_project_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path)

    assert cli.main(["doctor", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    names = [check["name"] for check in told["checks"]]
    assert told["ok"] and told["project"] == str(tmp_path)
    assert {"python", "steps", "python runner", "python codec", "port", "storage"} <= set(names)


def test_something_missing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, {"requirements.txt": "no-such-package-x"})

    assert cli.main(["doctor", str(tmp_path)]) == 1
    assert "✖ pip packages" in capsys.readouterr().out


def test_wrong_settings_are_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stepweave.toml").write_text("[sever]")

    assert cli.main(["doctor", str(tmp_path)]) == 1
    assert 'did you mean "server"?' in capsys.readouterr().out


def test_without_a_project_only_the_installation_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert cli.main(["doctor"]) == 0
    assert "there is none in this folder" in capsys.readouterr().out


def test_a_program_that_is_not_there_answers_with_the_reason() -> None:
    assert ask(["/no/such/program"]) == (-1, "No such file or directory")
    assert ask([sys.executable, "-c", "import sys; print('a'); sys.exit('b')"]) == (1, "a\nb")
