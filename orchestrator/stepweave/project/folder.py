"""A user's project: its folder, its name, its settings, and the variables of its .env file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepweave.errors import UsageError
from stepweave.project import reading
from stepweave.project.settings import Settings

__all__ = ["SETTINGS_FILE", "NoProject", "Project"]

SETTINGS_FILE = "stepweave.toml"
ENV_FILE = ".env"

# What makes a folder a project. Only the first two are looked for in the folders above one,
# since many a home has a `src`.
_STRONG = (SETTINGS_FILE, "steps")
_WEAK = ("src",)


class NoProject(UsageError):
    """The folder holds no project."""

    code = "no_project"


@dataclass(frozen=True, slots=True)
class Project:
    """A project on disk. `root` is absolute.

    `env` holds the variables of .env that the process environment does not set itself; together
    they are what runners get.
    """

    root: Path
    name: str
    settings: Settings
    env: Mapping[str, str] = field(repr=False)

    @classmethod
    def open(
        cls, folder: str | Path = ".", environment: Mapping[str, str] | None = None
    ) -> Project:
        """The project in this very folder; `environment` is by default the process's.

        Raises NoProject, or SettingsError if stepweave.toml or a variable is wrong.
        """
        root = Path(folder).resolve()
        if not root.is_dir():
            raise NoProject(f"{folder}: there is no such folder")
        if not _has(root, _STRONG + _WEAK):
            raise NoProject(_advice(root))
        environment = os.environ if environment is None else environment
        env = {
            key: value for key, value in _dotenv(root / ENV_FILE).items() if key not in environment
        }
        settings = reading.read(root / SETTINGS_FILE, {**env, **environment})
        return cls(root, settings.name or _name(root), settings, env)

    @classmethod
    def find(cls, start: str | Path = ".", environment: Mapping[str, str] | None = None) -> Project:
        """The project that the folder lies in: itself, or the nearest one above.

        Raises as `open`.
        """
        folder = Path(start).resolve()
        for each in (folder, *folder.parents):
            if _has(each, _STRONG) or (each == folder and _has(each, _WEAK)):
                return cls.open(each, environment)
        return cls.open(folder, environment)

    @property
    def version(self) -> str:
        """The version in package.json, else that in pyproject.toml, else "0.0.0"."""
        return _version(self.root)

    @property
    def storage(self) -> Path:
        """The folder of the data, absolute."""
        return self.root / self.settings.storage.path


def _has(folder: Path, names: tuple[str, ...]) -> bool:
    for name in names:
        path = folder / name
        if path.is_file() if name == SETTINGS_FILE else path.is_dir():
            return True
    return False


def _advice(root: Path) -> str:
    return (
        f"{root}: this folder holds no project: no steps/, no src/ and no {SETTINGS_FILE}. "
        "Go to your project or name its folder; for a new one, make a folder steps/ "
        "with a file such as steps/hello.step.py in it"
    )


def _name(root: Path) -> str:
    """The name in package.json, else the folder's."""
    name = _package(root).get("name")
    return name if isinstance(name, str) and name else root.name or "project"


def _version(root: Path) -> str:
    import tomllib

    try:
        project = tomllib.loads((root / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (OSError, ValueError):
        project = {}
    for found in (_package(root), project):
        version = found.get("version") if isinstance(found, dict) else None
        if isinstance(version, str) and version:
            return version
    return "0.0.0"


def _package(root: Path) -> dict[str, object]:
    """The package.json of a project, empty if there is none that can be read."""
    import json

    try:
        found = json.loads((root / "package.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _dotenv(file: Path) -> dict[str, str]:
    """The variables of a .env file; without a value (`NAME` alone) they are left out."""
    if not file.is_file():
        return {}
    import dotenv

    try:
        found = dotenv.dotenv_values(file, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error
    return {key: value for key, value in found.items() if value is not None}
