"""What users install: the package, its files, its commands, and nothing else."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import LITTER, install, run

WHERE = "from stepweave import files; print(files.path({parts}))"


def contents(wheel: Path) -> set[str]:
    """The file names in a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_a_wheel_adds_one_name_to_site_packages(wheel: Path) -> None:
    assert {name.split("/")[0] for name in contents(wheel)} == {"stepweave"}


def test_a_wheel_carries_what_the_orchestrator_starts(wheel: Path) -> None:
    assert {
        "stepweave/py.typed",
        "stepweave/_files/runners/node/dist/main.cjs",
        "stepweave/_files/runners/node/runner.json",
        "stepweave/_files/runners/python/runner.json",
        "stepweave/_files/runners/ruby/runner.json",
    } <= contents(wheel)


def test_a_wheel_holds_no_tests_and_no_caches(checkout: Path, wheel: Path) -> None:
    assert all((checkout / name).exists() for name in LITTER)
    packed = contents(wheel)
    litter = {Path(name).name for name in LITTER} - {"ruff.toml", "index.js"}
    assert not [name for name in packed if Path(name).name in litter or "/left/" in name]
    assert not [name for name in contents(wheel) if "_files/runners/node/src" in name]


def test_a_wheel_states_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith("licenses/LICENSE"))
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        assert b"Apache License" in archive.read(licence)
        assert b"\nLicense-Expression: Apache-2.0\n" in archive.read(metadata)


def test_a_wheel_made_from_the_sdist_is_the_same(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", tmp_path, sdist)
    (again,) = tmp_path.glob("*.whl")
    assert contents(again) == contents(wheel)


def test_an_sdist_leaves_installed_packages_and_caches_out(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = "\n".join(archive.getnames())
    assert "node_modules" not in names
    assert "__pycache__" not in names


@pytest.mark.parametrize("language", ["node", "python", "ruby"])
def test_an_installed_wheel_finds_its_runners(
    wheel: Path, environment: Path, language: str
) -> None:
    install(environment, wheel)
    found = run(
        environment / "bin" / "python",
        "-c",
        WHERE.format(parts=f"'runners', '{language}', 'runner.json'"),
        cwd=environment,
    )
    assert Path(found.strip()).is_relative_to(environment)


def test_both_commands_tell_the_version(wheel: Path, environment: Path) -> None:
    install(environment, wheel)
    version = wheel.name.split("-")[1]
    for command in ("stepweave", "motia"):
        assert version in run(environment / "bin" / command, "--version", cwd=environment)


def test_an_editable_install_uses_the_checkout_itself(checkout: Path, environment: Path) -> None:
    install(environment, "--editable", checkout)
    python = environment / "bin" / "python"
    found = run(python, "-c", WHERE.format(parts="'runners', 'ruby'"), cwd=environment)
    assert Path(found.strip()) == checkout / "runners" / "ruby"
    assert not list(environment.rglob("_files"))
