"""A copy of this repository to pack, what comes out of it, and empty environments to install in."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
LEAVE = shutil.ignore_patterns(".*_cache", ".git", ".venv", "__pycache__", "node_modules")
PACKED = ("orchestrator", "protocol", "runners", "steps", "workbench")
SINGLE = (".gitignore", "LICENSE", "README.md", "hatch_build.py", "pyproject.toml")

# Built files that a developer may not have yet, and litter that must never be packed.
STAND_INS = ("runners/node/dist/main.cjs", "workbench/dist/index.html")
LITTER = (
    "protocol/vectors/left/ruff.toml",
    "runners/node/node_modules/left/index.js",
    "runners/node/src/left.test.ts",
    "runners/python/stepweave_runner/__pycache__/left.cpython-311.pyc",
    "runners/python/tests/test_left.py",
    "runners/ruby/test/left_test.rb",
    "steps/.pytest_cache/left",
)

Python = Callable[..., str]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """The standard output of a command; fails the test with its whole output."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as a developer has it: built, and littered by use."""
    root = tmp_path_factory.mktemp("checkout")
    for name in PACKED:
        if (HOUSE / name).is_dir():
            shutil.copytree(HOUSE / name, root / name, ignore=LEAVE)
    for name in SINGLE:
        if (HOUSE / name).exists():
            shutil.copy2(HOUSE / name, root / name)
    absent = (name for name in STAND_INS if not (root / name).exists())
    for name in (*absent, *LITTER):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout."""
    return pack("wheel", checkout, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of the checkout."""
    return pack("sdist", checkout, tmp_path_factory.mktemp("sdist"))


def pack(kind: str, source: Path, target: Path) -> Path:
    """Build one distribution of a source tree with the tools of this environment."""
    build = (sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", target)
    run(*build, source)
    (made,) = target.iterdir()
    return made


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment that sees our dependencies, yet not our own editable install.

    Its one extra path is a plain line, so the path files in that folder are not followed.
    """
    root = tmp_path / "environment"
    venv.create(root, symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(root)})
    (Path(packages) / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return root


def install(environment: Path, *what: str | Path) -> None:
    """Install without network and without dependencies."""
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install")
    run(*pip, "--quiet", "--no-index", "--no-deps", "--no-build-isolation", *what)
