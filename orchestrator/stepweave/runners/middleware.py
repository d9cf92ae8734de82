"""The project's middleware: which files run around the API steps of which runner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from stepweave.project import SettingsError
from stepweave.runners.manifest import Manifest

__all__ = ["assign", "uncovered"]

_SETTING = "[steps] middleware"


def assign(
    files: Sequence[str], root: Path, manifests: Iterable[Manifest]
) -> dict[str, tuple[str, ...]]:
    """The absolute paths of the files by the name of the runner that runs them, in their order.

    Raises SettingsError for a file that is not there, is outside of the project, or that no
    runner can run.
    """
    found: dict[str, list[str]] = {}
    known = list(manifests)
    inside = root.resolve()
    for name in files:
        path = inside / name
        if not path.is_file():
            raise SettingsError(f"{_SETTING}: there is no file {path}")
        if not path.resolve().is_relative_to(inside):
            raise SettingsError(f"{_SETTING}: {name} is outside of the project")
        runner = next((each for each in known if name.endswith(tuple(each.extensions))), None)
        if runner is None:
            endings = ", ".join(ending for each in known for ending in each.extensions)
            raise SettingsError(f"{_SETTING}: {name} must end in one of {endings}")
        found.setdefault(runner.name, []).append(str(path))
    return {name: tuple(paths) for name, paths in found.items()}


def uncovered(
    assigned: Mapping[str, Sequence[str]], languages: Iterable[str], manifests: Iterable[Manifest]
) -> str | None:
    """A warning when API steps of some of these languages have no middleware and others do."""
    if not assigned:
        return None
    runners = {language: each.name for each in manifests for language in each.languages}
    bare = sorted({each for each in languages if runners.get(each) not in assigned})
    if not bare:
        return None
    return (
        f"{_SETTING} names no file for {' and '.join(bare)}: the API steps in "
        f"{'it' if len(bare) == 1 else 'them'} run without, since middleware wraps steps of "
        "its own runner only"
    )
