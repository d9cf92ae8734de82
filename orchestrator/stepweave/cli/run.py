"""`stepweave run`: one step, once, with the project's real state."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any

from stepweave.cli import options

if TYPE_CHECKING:
    from stepweave.console import Console
    from stepweave.orchestrator import Orchestrator
    from stepweave.project import Project
    from stepweave.steps.model import Step

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Run one step once, with the project's real state. Its result goes to stdout; its log and the
events it emitted go to stderr. Nobody gets those events, unless --follow lets the flow go on."""
EXAMPLES = """\
  stepweave run create-order --data '{"petId": 7}'
  stepweave run GetOrder --param id=12 --query full=1
  stepweave run ProcessPayment --data @order.json --follow
  echo '{"id": 1}' | stepweave run ProcessPayment --data -"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The step, what it is given, and what to print."""
    parser.add_argument(
        "step", metavar="STEP", help="its name, file, or file name without .step.ts"
    )
    parser.add_argument(
        "--data",
        metavar="JSON",
        help="the event's data or the request's body: JSON, @FILE, or - for stdin",
    )
    parser.add_argument("--topic", help="for an event step: the topic, if it has several")
    for name, text, read in (
        ("param", "a path parameter", _pair),
        ("query", "a query parameter", _pair),
        ("header", 'a header, also in the form "NAME: VALUE"', _header),
    ):
        parser.add_argument(
            f"--{name}",
            metavar="NAME=VALUE",
            action="append",
            default=[],
            type=read,
            help=f"for an API step: {text}; may be repeated",
        )
    parser.add_argument(
        "--follow", action="store_true", help="deliver its events and wait until all is done"
    )
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument(
        "--dir", metavar="DIR", help="the project's folder (default: the one you are in)"
    )
    options.add_log_options(parser)


def run(args: argparse.Namespace) -> int:
    """0 if the step and, with --follow, everything after it went well, else 1."""
    project = options.open_project(args.dir)
    with options.console(args, project, sys.stderr) as console:
        return options.run_loop(lambda: _run(args, project, console))


async def _run(args: argparse.Namespace, project: Project, console: Console) -> int:
    from stepweave.cli import report
    from stepweave.cli.request import input_of, misfits, parsing
    from stepweave.logs import LogHub
    from stepweave.orchestrator import Orchestrator

    async with Orchestrator(project, "run", LogHub(console)) as orchestrator:
        step = _step(orchestrator, args.step)
        kind, given = input_of(step, args)
        unfit = misfits(step, given)
        for misfit in unfit:
            orchestrator.hub.log("warn", misfit, step=step.name)
        if parse := parsing(step, given, not unfit, project.settings.steps.input == "strict"):
            given["parse"] = parse
        if not args.follow:
            orchestrator.bus.subscribe(())  # an event without subscribers ends where it began
        call, outcome = await orchestrator.run_step(step, kind, given)
        if args.follow:
            await _settle(orchestrator)
        waiting = orchestrator.bus.waiting
        trace: dict[str, Any] | None = await orchestrator.traces.trace(call.span.trace_id)
    found = report.Run(step, call.span, outcome, trace or {}, waiting)
    console.flush()
    if args.json:
        sys.stdout.write(report.as_json(found))
    else:
        if not args.json_logs:
            console.write(report.story(found, console.paint, followed=args.follow))
            console.flush()
        sys.stdout.write(report.result(found))
    return 0 if found.ok else 1


async def _settle(orchestrator: Orchestrator) -> None:
    """Wait until no event runs or is ready to run; one that waits for a retry does not count."""
    import anyio

    while True:
        await orchestrator.store.apply(())  # what was emitted so far is on its way
        if orchestrator.bus.idle:
            return
        await anyio.sleep(0.01)


def _step(orchestrator: Orchestrator, text: str) -> Step:
    """The step that was meant. Raises UsageError with the nearest name, or why it does not load."""
    from stepweave.cli import problems
    from stepweave.errors import UsageError
    from stepweave.paint import Paint

    registry = orchestrator.registry
    step = registry.find(text)
    if step is not None:
        return step
    wanted = text.removeprefix("./")
    for entry in registry.entries:
        name = entry.found.relpath
        if name == wanted or name.rpartition("/")[2].startswith((f"{wanted}.", f"{wanted}_step.")):
            reasons = problems.render(entry.problems, Paint(False)).strip()
            raise UsageError(f"{name} cannot run\n{reasons}")
    close = registry.closest(text)
    known = ", ".join(sorted(registry.steps)) or "none"
    hint = f'did you mean "{close}"?' if close else f"there are: {known}"
    # Nobody knows the name of a step whose file does not load.
    broken = [entry for entry in registry.entries if entry.item is None]
    reasons = "".join(
        f"\n{problems.render(each.problems, Paint(False)).strip()}" for each in broken
    )
    files = f"\nnot counting what cannot run:{reasons}" if broken else ""
    raise UsageError(f'there is no step "{text}"; {hint}{files}')


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f'"{text}" is not of the form NAME=VALUE')
    return name, value


def _header(text: str) -> tuple[str, str]:
    found = re.fullmatch(r"([!#$%&'*+.^`|~\w-]+)(?:=|:\s*)(.*)", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not of the form NAME=VALUE or NAME: VALUE')
    return found[1], found[2]
