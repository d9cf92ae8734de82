"""Fixtures: the step files of one language, copied to a project of its own for each process."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from stepweave.errors import UsageError

__all__ = ["Fixtures", "Project"]


class Fixtures:
    """A folder of fixtures; a name finds the one file that is called so."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(
                f"{folder} is no folder; --fixtures takes the folder of your step files"
            )
        self.folder = folder.resolve()
        self.language = self.folder.name

    def find(self, name: str) -> Path | None:
        """The path of a fixture relative to the folder, or None if there is none.

        Raises UsageError if two files have the name.
        """
        parent, _, stem = name.rpartition("/")
        wanted = re.compile(rf"{re.escape(stem)}([._](step|stream))?\.[A-Za-z]+")
        folder = self.folder / parent
        if not folder.is_dir():
            return None
        found = [path for path in folder.iterdir() if wanted.fullmatch(path.name)]
        if len(found) > 1:
            raise UsageError(
                f"{folder} has two fixtures called {stem}: {found[0].name} and {found[1].name}"
            )
        return found[0].relative_to(self.folder) if found else None

    def project(self, root: Path) -> Project:
        """Copy the fixtures into `root`, which must not exist, for one process to change."""
        shutil.copytree(self.folder, root, ignore=shutil.ignore_patterns("__pycache__"))
        return Project(self, root.resolve())


class Project:
    """A copy of the fixtures: the root that a runner is given."""

    def __init__(self, fixtures: Fixtures, root: Path) -> None:
        self.fixtures = fixtures
        self.root = root

    def path(self, name: str) -> str:
        """The absolute path of a fixture. Raises ValueError if there is none."""
        found = self.fixtures.find(name)
        if found is None:
            raise ValueError(f"there is no fixture {name}")
        return str(self.root / found)

    def replace(self, name: str, source: str) -> None:
        """Write the text of the fixture `source` into the copy of the fixture `name`."""
        text = (self.fixtures.folder / Path(self.path(source)).relative_to(self.root)).read_bytes()
        Path(self.path(name)).write_bytes(text)
