"""scripts/setup on machines that lack something; every foreign command is a fake here."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
TOOLS = ("cat", "cksum", "date", "dirname", "find", "grep", "mkdir", "sh", "sort", "tail", "tr")

GOOD_NODE = "case $1 in --version) echo v20.20.0 ;; esac"
OLD_NODE = "case $1 in --version) echo v20.10.0 ;; *) exit 1 ;; esac"
NPM = 'mkdir -p "$2/node_modules" "$2/dist" && : >"$2/dist/main.cjs"'
BROKEN_NPM = "echo the registry is closed; exit 7"
APT = 'case $1 in install) cp "$0" "$BIN/ruby" ;; esac'
BROKEN_APT = "echo no network; exit 100"


@dataclass(frozen=True, slots=True)
class Machine:
    """A checkout, and a PATH that holds the basic tools and the fakes alone."""

    checkout: Path
    bin: Path

    def has(self, name: str, script: str = "") -> None:
        """Put a command on PATH; each call of it is noted before the script runs."""
        log = self.bin.parent / "calls"
        file = self.bin / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >>{log}\nBIN={self.bin}\n{script}\n')
        file.chmod(0o755)

    def links(self, name: str) -> None:
        """Put this machine's own command on PATH, if it has it."""
        if found := shutil.which(name):
            (self.bin / name).symlink_to(found)

    def calls(self) -> list[str]:
        """The calls of the fakes so far, in order."""
        log = self.bin.parent / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def setup(self, *arguments: str, ci: bool = False) -> tuple[int, str]:
        """Exit code and output of `scripts/setup`."""
        done = subprocess.run(
            (self.checkout / "scripts" / "setup", *arguments),
            env={"PATH": str(self.bin), "CI": "true" if ci else ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A checkout with a Node runner and one example, on a machine without any runtime."""
    checkout = tmp_path / "checkout"
    for folder in ("runners/node", "examples/one"):
        (checkout / folder).mkdir(parents=True)
        (checkout / folder / "package.json").write_text("{}")
        (checkout / folder / "package-lock.json").write_text("{}")
    (checkout / "scripts").mkdir()
    (checkout / "pyproject.toml").write_text("")
    shutil.copy2(HOUSE / "scripts" / "setup", checkout / "scripts" / "setup")
    machine = Machine(checkout, tmp_path / "bin")
    machine.bin.mkdir()
    for tool in TOOLS:
        machine.links(tool)
    machine.has("id", "echo 1000")
    return machine


def test_an_old_python_is_refused_in_one_line(machine: Machine) -> None:
    machine.has("python3", "exit 1")
    code, said = machine.setup("python")
    assert code == 1
    assert said.splitlines() == [
        "setup: Python 3.11 or newer is needed and not on PATH; "
        "on Debian: apt-get install python3-venv"
    ]


def test_a_python_without_venv_names_the_package(machine: Machine) -> None:
    machine.has("python3", "case $2 in *ensurepip*) exit 1 ;; esac")
    code, said = machine.setup("python")
    assert code == 1
    assert "cannot make virtual environments; on Debian: apt-get install python3-venv" in said


def test_uv_is_used_where_it_is(machine: Machine) -> None:
    machine.has("python3")
    machine.has("uv")
    assert machine.setup("python")[0] == 0
    assert [call for call in machine.calls() if call.startswith("uv")] == [
        "uv venv --seed --clear --python python3 .venv",
        "uv pip install --python .venv/bin/python --editable . --group dev",
    ]


@pytest.mark.parametrize(
    ("node", "said"),
    [(None, "and not on PATH"), (OLD_NODE, "this one is v20.10.0")],
)
def test_a_missing_or_old_node_is_refused(machine: Machine, node: str | None, said: str) -> None:
    if node:
        machine.has("node", node)
    code, output = machine.setup("node")
    assert code == 1
    assert output.startswith("setup: Node 20.19 or newer is needed")
    assert said in output


def test_a_missing_npm_names_the_package(machine: Machine) -> None:
    machine.has("node", GOOD_NODE)
    assert machine.setup("node") == (
        1,
        "setup: npm is not on PATH; on Debian: apt-get install npm\n",
    )


def test_what_is_set_up_is_skipped_until_an_input_changes(machine: Machine) -> None:
    machine.has("node", GOOD_NODE)
    machine.has("npm", NPM)
    install = "npm --prefix runners/node ci --no-audit --no-fund"
    build = "npm --prefix runners/node run build"

    def npm() -> list[str]:
        return [call for call in machine.calls() if call.startswith("npm")]

    assert machine.setup("node")[0] == 0
    assert npm() == [install, build]
    assert machine.setup("node") == (0, "")
    assert npm() == [install, build]
    (machine.checkout / "runners/node/main.ts").write_text("export {}")
    assert machine.setup("node")[0] == 0
    assert npm() == [install, build, build]
    (machine.checkout / "runners/node/package-lock.json").write_text("{ }")
    assert machine.setup("node")[0] == 0
    assert npm() == [install, build, build, install, build]


def test_a_part_that_fails_shows_its_output_and_runs_again(machine: Machine) -> None:
    machine.has("node", GOOD_NODE)
    machine.has("npm", BROKEN_NPM)
    code, said = machine.setup("examples")
    assert code == 1
    assert "the registry is closed" in said
    assert said.endswith("setup: npm could not install the packages of examples/one\n")
    machine.has("npm", NPM)
    assert machine.setup("examples")[0] == 0


def test_root_gets_ruby_installed(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.has("apt-get", APT)
    machine.links("cp")
    assert machine.setup("ruby")[0] == 0
    assert [call for call in machine.calls() if call.startswith("apt-get")] == [
        "apt-get update",
        "apt-get install -y --no-install-recommends ruby ruby-msgpack",
    ]
    assert machine.setup("ruby") == (0, "")


def test_without_root_and_ruby_the_rest_goes_on(machine: Machine) -> None:
    code, said = machine.setup("--all", "ruby")
    assert code == 0
    assert said == (
        "setup: Ruby is not on PATH; on Debian: apt-get install ruby ruby-msgpack "
        "(until then .rb steps are listed as unavailable)\n"
    )


def test_an_install_that_fails_stops_the_tests_only(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.has("apt-get", BROKEN_APT)
    assert machine.setup("ruby")[0] == 0
    code, said = machine.setup("--all", "ruby")
    assert code == 1
    assert "no network" in said


def test_a_browser_is_installed_for_root_and_asked_of_others(machine: Machine) -> None:
    official = machine.checkout / "tests/streams/official"
    official.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (official / name).write_text("{}")
    machine.has("node", GOOD_NODE)
    machine.has("npm", NPM)
    code, said = machine.setup("--all", "browser")
    assert code == 0
    assert said.endswith(
        "setup: Chromium is not on PATH; on Debian: apt-get install chromium "
        "(until then tests in a browser are left out)\n"
    )
    assert machine.setup("--all", "browser", ci=True)[0] == 1
    machine.has("id", "echo 0")
    machine.has("apt-get", APT.replace("ruby", "chromium"))
    machine.links("cp")
    assert machine.setup("browser")[0] == 0
    assert machine.setup("browser", ci=True) == (0, "")


def test_a_build_machine_needs_ruby(machine: Machine) -> None:
    code, said = machine.setup("--all", "ruby", ci=True)
    assert code == 1
    assert said == "setup: Ruby is not on PATH; on Debian: apt-get install ruby ruby-msgpack\n"


def test_an_unknown_part_is_named(machine: Machine) -> None:
    assert machine.setup("perl") == (
        1,
        'setup: there is no part "perl"; there are python, node, ruby, examples and browser\n',
    )
