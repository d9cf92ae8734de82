"""`stepweave doctor`: what is installed, found and missing, and the fix."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import stepweave
from stepweave.cli import options

if TYPE_CHECKING:
    from stepweave.cli.checkup import Check
    from stepweave.paint import Paint
    from stepweave.project import Project
    from stepweave.runners.manifest import Manifest

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "render", "run"]

DESCRIPTION = """\
Check this installation and, inside a project, what its steps need. Exit code 1 if something is
missing that they need."""
EXAMPLES = """\
  stepweave doctor
  stepweave doctor shop --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, and the form."""
    options.add_folder(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--no-color", action="store_true", help="no colours (NO_COLOR works, too)")


def run(args: argparse.Namespace) -> int:
    """0 if nothing that is needed is missing, else 1."""
    from stepweave.paint import Paint, wants_color

    project, found = examine(args.folder)
    if args.json:
        import orjson

        data = {
            "version": stepweave.__version__,
            "project": str(project.root) if project else None,
            "ok": all(check.status != "error" for check in found),
            "checks": [check.to_json() for check in found],
        }
        print(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
    else:
        color = False if args.no_color else wants_color(sys.stdout)
        print(render(project, found, Paint(color)), end="")
    return 1 if any(check.status == "error" for check in found) else 0


def examine(folder: str | None) -> tuple[Project | None, list[Check]]:
    """The project, if there is one, and all findings. Raises UsageError for a wrong DIR."""
    from stepweave.cli.checkup import Check, installation, runners
    from stepweave.errors import UsageError
    from stepweave.project import NoProject

    found = list(installation.checks())
    try:
        project = options.open_project(folder)
    except NoProject:
        if folder is not None:
            raise
        project = None
        found.append(Check("project", "note", "there is none in this folder"))
    except UsageError as error:
        found.append(Check("settings", "error", str(error)))
        return None, found
    manifests = []
    for item in runners.manifests(project):
        if isinstance(item, Check):
            found.append(item)
        else:
            manifests.append(item)
    if project is None:
        for each in manifests:
            found += runners.checks(each, None, {})
    else:
        found += _project(project, manifests)
    return project, found


def _project(project: Project, manifests: list[Manifest]) -> Iterator[Check]:
    from stepweave.cli.checkup import project as checks
    from stepweave.cli.checkup import runners
    from stepweave.errors import RunnerUnavailable

    extensions = {
        suffix: language for each in manifests for suffix, language in each.extensions.items()
    }
    counts, about_steps = checks.steps(project, extensions)
    yield from about_steps
    python = None
    for each in manifests:
        yield from runners.checks(each, project, counts)
        if each.name == "python":
            try:
                python, _ = runners.interpreter_of(each, project)
            except RunnerUnavailable:
                python = None
    yield from checks.dependencies(project, counts, python)
    yield checks.port(project)
    yield from checks.storage(project)


def render(project: Project | None, found: list[Check], paint: Paint) -> str:
    """One line a finding, its fix below it, and a sum."""
    signs = {
        "ok": paint.green("✔"),
        "note": paint.dim("·"),
        "warning": paint.yellow("⚠"),
        "error": paint.red("✖"),
    }
    system = f"{platform.system()} {platform.machine()}"
    title = paint(f"Stepweave {stepweave.__version__}", 1, 36)
    where = f", project {paint.bold(project.name)} in {project.root}" if project else ""
    lines = [f"{title} on {system}{where}", ""]
    width = max(len(check.name) for check in found)
    for check in found:
        lines.append(f"  {signs[check.status]} {check.name:<{width}}  {check.detail}")
        if check.fix:
            lines.append(f"    {'':<{width}}  {paint.dim('→')} {check.fix}")
    errors = sum(check.status == "error" for check in found)
    warnings = sum(check.status == "warning" for check in found)
    if errors:
        total = f"{errors} missing or broken"
        verdict = f"{paint.red(total)}: the steps that need it do not run"
    elif warnings:
        verdict = f"{paint.yellow(f'{warnings} to improve')}, nothing is missing"
    else:
        verdict = paint.green("everything is in place")
    return "\n".join([*lines, "", f"  {verdict}"]) + "\n"
