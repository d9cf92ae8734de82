"""`stepweave conformance`: the kit's options and its exit code."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import anyio

from stepweave import files
from stepweave.conformance import scenario
from stepweave.conformance.fixtures import Fixtures
from stepweave.conformance.kit import Command, Kit
from stepweave.conformance.report import KnownFailing, Report
from stepweave.errors import StepweaveError, UsageError
from stepweave.runners import manifest

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the kit's options; the rest of the command line is the runner's command."""
    parser.add_argument(
        "--runner", metavar="NAME", help=f"one of our own runners: {', '.join(manifest.BUILT_IN)}"
    )
    parser.add_argument(
        "--fixtures", metavar="DIR", type=Path, help="step files in the runner's language"
    )
    parser.add_argument(
        "--run", metavar="GLOB", default="*", help="only scenarios with such a name"
    )
    parser.add_argument(
        "--known-failing",
        metavar="FILE",
        type=Path,
        help="names of scenarios that may fail, one a line",
    )
    parser.add_argument("--trace", action="store_true", help="show every frame as JSON")
    parser.add_argument(
        "--verbose", "-v", action="store_true", help="name the scenarios that pass, too"
    )
    parser.add_argument("--list", action="store_true", help="name the scenarios and run none")
    parser.add_argument(
        "--limit",
        metavar="SECONDS",
        type=float,
        default=10.0,
        help="how long to wait for one frame (default 10)",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")


def run(args: argparse.Namespace) -> int:
    """Run the kit: 0 if nothing failed, 1 if something did, 2 if it could not begin."""
    try:
        known = KnownFailing(args.known_failing)
        if args.list:
            for item in scenario.load(args.run, _language(args)):
                sys.stdout.write(f"{item.name} (SPEC {item.spec})\n")
            return 0
        command = _command(args)
        scenarios = scenario.load(args.run, command.fixtures.language)
        if not scenarios:
            raise UsageError(f"no scenario has a name like {args.run}; --list names them")
    except StepweaveError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    report = Report(sys.stdout, known, args.verbose)
    anyio.run(Kit(command, report, args.trace).run, scenarios)
    report.close()
    return 1 if report.failed else 0


def _command(args: argparse.Namespace) -> Command:
    argv = list(args.command)
    if argv[:1] == ["--"]:
        argv = argv[1:]
    folder: Path | None = args.fixtures
    if args.runner:
        if args.runner not in manifest.BUILT_IN:
            raise UsageError(
                f"there is no runner {args.runner} here, only {', '.join(manifest.BUILT_IN)}; "
                "give another one's command after --"
            )
        folder = folder or files.path("protocol", "fixtures", args.runner)
        argv = argv or _argv(args.runner, folder)
    if not argv or folder is None:
        raise UsageError("give --runner NAME, or --fixtures DIR -- COMMAND that starts your runner")
    return Command([_absolute(part) for part in argv], Fixtures(folder), args.limit)


def _absolute(part: str) -> str:
    """A path in the command as seen from here: the runner is started in another folder."""
    path = Path(part)
    return str(path.absolute()) if "/" in part and path.exists() else part


def _argv(name: str, root: Path) -> list[str]:
    found = manifest.load(files.path("runners", name))
    interpreter, _ = manifest.find_interpreter(found, root, None)
    return found.command(interpreter)


def _language(args: argparse.Namespace) -> str:
    return args.runner or (args.fixtures.resolve().name if args.fixtures else "")
