"""A tree that is not built yet: packing stops, developing goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import install, run


@pytest.fixture
def unbuilt(checkout: Path, tmp_path: Path) -> Path:
    """The checkout before anybody ran npm."""
    root = tmp_path / "unbuilt"
    shutil.copytree(checkout, root)
    shutil.rmtree(root / "runners" / "node" / "dist")
    return root


def refusal(kind: str, source: Path, target: Path) -> str:
    """What packing says when it stops and leaves nothing behind."""
    command = (sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", target)
    done = subprocess.run((*command, source), capture_output=True, text=True, check=False)
    assert done.returncode
    assert not target.exists() or not list(target.iterdir())
    return done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_packing_stops_with_the_command_to_run(unbuilt: Path, tmp_path: Path, kind: str) -> None:
    said = refusal(kind, unbuilt, tmp_path / "out")
    assert (
        "runners/node/dist/main.cjs is not built; run `npm --prefix runners/node ci "
        "&& npm --prefix runners/node run build` first, then pack again\n"
    ) in said
    assert "Traceback" not in said


def test_a_workbench_with_source_has_to_be_built_too(unbuilt: Path, tmp_path: Path) -> None:
    main = unbuilt / "runners" / "node" / "dist" / "main.cjs"
    main.parent.mkdir()
    main.touch()
    workbench = unbuilt / "workbench"
    shutil.rmtree(workbench / "dist")
    (workbench / "package.json").write_text("{}")
    said = refusal("wheel", unbuilt, tmp_path / "out")
    assert "workbench/dist/index.html is not built; run `npm --prefix workbench ci" in said


def test_an_editable_install_needs_nothing_built(unbuilt: Path, environment: Path) -> None:
    install(environment, "--editable", unbuilt)
    python = environment / "bin" / "python"
    assert run(python, "-c", "import stepweave; print(stepweave.__version__)").strip()
