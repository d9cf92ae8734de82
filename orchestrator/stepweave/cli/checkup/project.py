"""A project: its files, its dependencies, its port and its storage."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import socket
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from stepweave.cli import words
from stepweave.cli.checkup import database
from stepweave.cli.checkup.check import Check, Status, ask
from stepweave.project import Project
from stepweave.steps import discovery

__all__ = ["Languages", "dependencies", "port", "steps", "storage"]

Languages = Counter[str]

# What the Node runner provides itself.
_PROVIDED = frozenset({"motia", "@motia/core", "@motiadev/core", "stepweave"})
_LOW_DISK = 200 << 20
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*([^;@#]*)(;.*)?")
_INSTALLED = """
import importlib.metadata, sys
for name in sys.argv[1:]:
    try: importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError: print(name)
"""


def steps(project: Project, extensions: dict[str, str]) -> tuple[Languages, list[Check]]:
    """How many step and stream files there are of each language, and names that look wrong."""
    settings = project.settings.steps
    found = discovery.discover(project.root, settings.roots, settings.extra, extensions=extensions)
    counts: Languages = Counter(file.language for file in found.found)
    checks = []
    if counts:
        listed = ", ".join(f"{count} {words.language(name)}" for name, count in counts.items())
        checks.append(Check("steps", "ok", f"{words.plural(len(found.found), 'file')}: {listed}"))
    else:
        folders = " or ".join(f"{root}/" for root in settings.roots)
        checks.append(
            Check("steps", "warning", f"there are none in {folders}", "add steps/hello.step.py")
        )
    for problem in found.problems:
        status: Status = "error" if problem.severity == "error" else "warning"
        checks.append(Check("steps", status, f"{problem.file}: {problem.message}", problem.hint))
    return counts, checks


def dependencies(project: Project, counts: Languages, python: str | None) -> Iterator[Check]:
    """npm and pip packages that the project lists; `python` is the interpreter of its steps."""
    if counts["typescript"] or counts["javascript"]:
        yield from _npm(project.root)
    if counts["python"] and python is not None:
        yield from _pip(project.root, python)


def port(project: Project) -> Check:
    """Whether the port is free."""
    server = project.settings.server
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((server.host, server.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                detail = f"{server.port} is in use; dev takes the next free one, start does not"
                return Check("port", "warning", detail, "stop what uses it, or set PORT")
            detail = f"{server.host}:{server.port} cannot be used: {error.strerror}"
            return Check("port", "error", detail, "set another host or port")
    return Check("port", "ok", f"{server.port} on {server.host} is free")


def storage(project: Project) -> Iterator[Check]:
    """Whether the data folder can be written, who holds it, and what lies around in it."""
    folder = project.storage
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Check("storage", "error", f"{folder} cannot be written", f"chown or chmod {existing}")
        return
    holder = _holder(folder / "lock")
    free = shutil.disk_usage(existing).free
    used = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    detail = f"{folder}: {words.size(used)} used, {words.size(free)} free"
    if holder is not None:
        detail += f"; process {holder} runs this project"
    low = free < _LOW_DISK
    yield Check("storage", "warning" if low else "ok", detail, "free some space" if low else None)
    yield from database.checks(folder)
    for file in sorted(folder.glob("*.damaged")):
        text = f"{file} was damaged and set aside"
        yield Check("stale file", "note", text, f"rm {file}")
    if (project.root / ".motia").is_dir():
        text = f"{project.root / '.motia'} is Motia's; Stepweave does not read it"
        yield Check("stale file", "note", text, f"rm -r {project.root / '.motia'}")


def _holder(lock: Path) -> str | None:
    """The process that runs the project, if one does."""
    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read(32).decode(errors="replace").strip() or "of unknown number"
    except OSError:
        return None
    return None


def _npm(root: Path) -> Iterator[Check]:
    file = root / "package.json"
    if not file.is_file():
        return
    try:
        listed: Any = orjson.loads(file.read_bytes()).get("dependencies") or {}
        names = sorted(set(listed) - _PROVIDED)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        yield Check("npm packages", "error", f"{file} cannot be read: {error}")
        return
    places = [folder / "node_modules" for folder in (root, *root.parents)]
    missing = [name for name in names if not any((each / name).exists() for each in places)]
    if missing:
        fix = f"npm install --prefix {root}"
        yield Check("npm packages", "error", f"not installed: {', '.join(missing)}", fix)
    elif names:
        yield Check("npm packages", "ok", f"all {len(names)} of package.json are there")


def _pip(root: Path, python: str) -> Iterator[Check]:
    try:
        required = [*_requirements(root / "requirements.txt"), *_pyproject(root / "pyproject.toml")]
    except (OSError, ValueError) as error:
        yield Check("pip packages", "error", f"the requirements cannot be read: {error}")
        return
    if not required:
        return
    code, said = ask([python, "-c", _INSTALLED, *required])
    missing = said.split()
    if code != 0:
        yield Check("pip packages", "warning", f"{python} does not tell what it has: {said}")
    elif missing:
        file = "-r requirements.txt" if (root / "requirements.txt").is_file() else "."
        fix = f"{python} -m pip install {file}"
        yield Check("pip packages", "error", f"not installed: {', '.join(missing)}", fix)
    else:
        yield Check("pip packages", "ok", f"all {len(required)} that are required are there")


def _requirements(file: Path) -> list[str]:
    """Names in a requirements file; lines with options, URLs or markers are passed over."""
    if not file.is_file():
        return []
    return _names(line for line in file.read_text("utf-8").splitlines())


def _pyproject(file: Path) -> list[str]:
    if not file.is_file():
        return []
    project = tomllib.loads(file.read_text("utf-8")).get("project", {})
    return _names(iter(project.get("dependencies", [])))


def _names(lines: Iterator[str]) -> list[str]:
    found = []
    for line in lines:
        match = _REQUIREMENT.match(line)
        plain = match and not match[3] and "://" not in line and not line.lstrip().startswith("-")
        if match and plain:
            found.append(match[1])
    return found
