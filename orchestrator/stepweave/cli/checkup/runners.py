"""The languages: is each interpreter there, recent enough, and how fast does its runner talk?"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from stepweave import files
from stepweave.cli import words
from stepweave.cli.checkup.check import Check, ask
from stepweave.errors import RunnerUnavailable, StepweaveError
from stepweave.project import Project, Runner
from stepweave.runners import manifest
from stepweave.runners.manifest import Manifest

__all__ = ["checks", "interpreter_of", "manifests"]

_PYTHON_CODEC = """
import sys; sys.path.insert(0, {folder!r})
from stepweave_runner.codec import codec
print(codec.name)
"""
_RUBY_CODEC = """
require "stepweave_runner/gems"
StepweaveRunner::Gems.setup(ARGV[0])
require "stepweave_runner/msgpack"
puts StepweaveRunner::Msgpack::NAME
puts StepweaveRunner::Gems.problem if StepweaveRunner::Gems.problem
"""


def manifests(project: Project | None) -> Iterator[Manifest | Check]:
    """The runners that the project can use; a Check in the place of one that cannot be read."""
    settings = project.settings.runners if project else {}
    for name in manifest.BUILT_IN:
        if name in settings and settings[name].path:
            continue
        try:
            yield manifest.load(files.path("runners", name))
        except StepweaveError as error:
            yield Check(f"{name} runner", "error", str(error))
    for name, runner in settings.items():
        if project is not None and runner.path:
            try:
                yield manifest.load(project.root / runner.path)
            except StepweaveError as error:
                yield Check(f"{name} runner", "error", str(error))


def checks(found: Manifest, project: Project | None, counts: Mapping[str, int]) -> Iterator[Check]:
    """The interpreter of a runner, and its codec. `counts` are the project's files by language."""
    used = [(language, counts[language]) for language in found.languages if counts.get(language)]
    needed = ", ".join(
        f"{words.plural(count, f'{words.language(language)} file')}" for language, count in used
    )
    name = f"{found.name} runner"
    missing = _missing_file(found)
    if missing is not None:
        yield Check(name, "error" if used else "note", missing)
        return
    try:
        interpreter, version = interpreter_of(found, project)
    except RunnerUnavailable as error:
        reason, _, fix = str(error).rpartition(": ")
        reason = reason.removesuffix("; install it") or str(error)
        if used:
            yield Check(name, "error", f"{reason}, and {needed} need it", fix)
        else:
            yield Check(name, "note", f"{reason}; no step needs it", fix)
        return
    shown = " ".join(filter(None, (version, f"at {interpreter}")))
    yield Check(name, "ok", f"{shown}{f', for {needed}' if needed else ''}")
    if used or project is None:
        yield from _codec(found, interpreter, project)


def interpreter_of(found: Manifest, project: Project | None) -> tuple[str, str | None]:
    """The path and version that the runner would be started with. Raises RunnerUnavailable."""
    settings = project.settings.runner(found.name) if project else Runner()
    root = project.root if project else Path.cwd()
    return manifest.find_interpreter(found, root, settings.interpreter)


def _missing_file(found: Manifest) -> str | None:
    """Why the runner's own program is not there, if it is not."""
    for part in found.argv:
        if (
            part.startswith("{dir}/")
            and not Path(part.replace("{dir}", str(found.folder))).exists()
        ):
            name = part.removeprefix("{dir}/")
            built = name.startswith("dist/")
            advice = "it is not built yet; run `make setup`" if built else "install Stepweave again"
            return f"{found.folder}/{name} is missing: {advice}"
    return None


def _codec(found: Manifest, interpreter: str, project: Project | None) -> Iterator[Check]:
    """Which msgpack the runner has: asked of the runner itself, in its user's environment."""
    root = str(project.root if project else Path.cwd())
    name = f"{found.name} codec"
    if found.name == "python":
        code, said = ask(
            [interpreter, "-c", _PYTHON_CODEC.format(folder=str(found.folder))], env=_environment()
        )
        fix = f"{interpreter} -m pip install msgpack"
    elif found.name == "ruby":
        library = str(found.folder / "lib")
        code, said = ask([interpreter, "-I", library, "-e", _RUBY_CODEC, root])
        fix = "apt-get install ruby-msgpack, or gem install msgpack and add it to the Gemfile"
    else:
        return
    codec, _, problem = said.partition("\n")
    if code != 0:
        yield Check(name, "warning", f"cannot be told: {said.splitlines()[-1] if said else code}")
        return
    if codec == "pure":
        detail = "the pure one: every call is 7 to 18 times slower on the wire"
        yield Check(name, "warning", detail, fix)
    else:
        yield Check(name, "ok", {"lent": "compiled, Stepweave's"}.get(codec, "compiled, its own"))
    if problem:
        reason, _, cure = problem.rpartition("; run: ")
        yield Check("gems", "error", reason or problem, cure or None)


def _environment() -> dict[str, str]:
    """What the pool gives a Python runner besides the rest, as far as its codec is concerned."""
    spec = importlib.util.find_spec("msgpack")
    folder = str(Path(spec.origin).parent) if spec and spec.origin else ""
    return {**os.environ, "STEPWEAVE_MSGPACK": folder}
