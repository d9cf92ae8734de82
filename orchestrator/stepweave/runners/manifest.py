"""runner.json: how a language's runner is started and which files it takes (SPEC 11)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stepweave import files
from stepweave.errors import RunnerUnavailable, UsageError

__all__ = ["BUILT_IN", "Manifest", "built_in", "find_interpreter", "load"]

BUILT_IN = ("node", "python", "ruby")
"""The runners that ship with Stepweave, in the order in which they are listed to people."""

_VENV_FOLDERS = (".venv", "venv", "python_modules")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a runner.json says. `extensions` maps a file suffix such as ".rb" to a language."""

    name: str
    folder: Path
    argv: tuple[str, ...]
    extensions: Mapping[str, str]
    interpreter: str | None
    minimum: str | None
    install: str

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages it runs, without repeats."""
        return tuple(dict.fromkeys(self.extensions.values()))

    def command(self, interpreter: str) -> list[str]:
        """The argument list that starts one child."""
        return [
            part.replace("{dir}", str(self.folder)).replace("{interpreter}", interpreter)
            for part in self.argv
        ]


def built_in() -> list[Manifest]:
    """The manifests of the shipped runners."""
    return [load(files.path("runners", name)) for name in BUILT_IN]


def load(folder: Path) -> Manifest:
    """Read `folder/runner.json`. Raises UsageError naming the file and what is wrong in it."""
    path = folder / "runner.json"
    try:
        data = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path}: must hold an object with language, argv and extensions")
    argv = data.get("argv")
    if not (isinstance(argv, list) and argv and all(isinstance(part, str) for part in argv)):
        example = '["lua", "{dir}/main.lua"]'
        raise UsageError(f'{path}: "argv" must be a list of strings, such as {example}')
    requires = data.get("requires") or {}
    return Manifest(
        name=str(data.get("name") or data.get("language") or folder.name),
        folder=folder,
        argv=tuple(argv),
        extensions=_extensions(path, data),
        interpreter=data.get("interpreter"),
        minimum=requires.get("minimum"),
        install=str(requires.get("install", "")),
    )


def _extensions(path: Path, data: Mapping[str, Any]) -> dict[str, str]:
    given = data.get("extensions")
    language = str(data.get("language") or data.get("name") or path.parent.name)
    pairs = given if isinstance(given, dict) else dict.fromkeys(given or (), language)
    result = {}
    for suffix, name in pairs.items():
        suffix = str(suffix).removeprefix(".step")
        if not suffix.startswith("."):
            raise UsageError(f'{path}: extension "{suffix}" must start with a dot, such as ".lua"')
        result[suffix] = str(name)
    if not result:
        raise UsageError(f'{path}: "extensions" must name a file suffix, such as [".lua"]')
    return result


def find_interpreter(manifest: Manifest, root: Path, setting: str | None) -> tuple[str, str | None]:
    """The interpreter to start the runner with, and its version ("" when it says none).

    Order: the project's setting; for Python then `$VIRTUAL_ENV` and the project's own virtual
    environments; PATH; for Python at last the interpreter of this very process.
    Raises RunnerUnavailable with the reason and the install hint.
    """
    name = manifest.interpreter
    if name is None:
        return manifest.argv[0], None
    found = _candidate(name, root, setting)
    if found is None and setting:
        raise RunnerUnavailable(
            f"{setting} was not found, which [runners.{manifest.name}] names as its interpreter; "
            "name one that is there, or take the setting out"
        )
    if found is None:
        raise RunnerUnavailable(f"{name} was not found; install it: {manifest.install}")
    version = _version(found)
    if version is None:
        raise RunnerUnavailable(
            f"{found} does not tell its version; reinstall it: {manifest.install}"
        )
    if manifest.minimum and _numbers(version) < _numbers(manifest.minimum):
        raise RunnerUnavailable(
            f"{found} is version {version}, steps need {manifest.minimum} or newer: "
            f"{manifest.install}"
        )
    return found, version


def _candidate(name: str, root: Path, setting: str | None) -> str | None:
    if setting:
        inside = root / setting
        return str(inside) if inside.is_file() else shutil.which(setting)
    if name == "python":
        active = os.environ.get("VIRTUAL_ENV")
        folders = [Path(active)] if active else []
        folders += [root / folder for folder in _VENV_FOLDERS]
        for folder in folders:
            python = folder / "bin" / "python"
            if python.is_file():
                return str(python)
        return sys.executable
    return shutil.which(name)


def _version(executable: str) -> str | None:
    try:
        done = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return match.group() if match else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
