"""`stepweave steps`: what a project consists of, and what is wrong with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from stepweave.cli import opened, options

if TYPE_CHECKING:
    from stepweave.paint import Paint
    from stepweave.steps.registry import Registry

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run", "table"]

DESCRIPTION = "List a project's steps, routes and streams, and what is wrong with its files."
EXAMPLES = """\
  stepweave steps              a table
  stepweave steps shop --json  everything, configs included"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, and the form."""
    options.add_folder(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, with configs and schemas")
    options.add_log_options(parser)


def run(args: argparse.Namespace) -> int:
    """0 if every file can run, else 1."""
    project = options.open_project(args.folder)
    with options.console(args, project, sys.stderr) as console:
        from stepweave.engine.store.peek import paused_steps
        from stepweave.logs import LogHub

        hub = LogHub(console)
        registry = options.run_loop(lambda: opened.load(project, hub))
        paused = paused_steps(project.storage) & registry.steps.keys()
        console.flush()
        if args.json:
            import orjson

            found = {**registry.to_json(), "paused": sorted(paused)}
            listing = orjson.dumps(found, option=orjson.OPT_INDENT_2, default=str)
            print(listing.decode())
        else:
            from stepweave.paint import Paint, wants_color

            color = False if args.no_color else wants_color(sys.stdout)
            sys.stdout.write(table(registry, Paint(color), paused))
    return 0 if registry.ok else 1


def table(registry: Registry, paint: Paint, paused: Collection[str] = ()) -> str:
    """One line a step and stream, then the problems and a sum; `paused` are names of steps."""
    from stepweave.cli import problems, words
    from stepweave.steps.model import Kind, Step

    rows = [("KIND", "NAME", "TRIGGER", "EMITS", "FILE")]
    for entry in registry.entries:
        item = entry.item
        if not isinstance(item, Step):
            rows.append(
                ("stream" if item else "?", item.name if item else "", "", "", entry.found.relpath)
            )
            continue
        trigger = {
            Kind.API: f"{item.method} {item.route}",
            Kind.EVENT: ", ".join(item.subscribes),
            Kind.CRON: f"{item.cron}{' (paused)' if item.name in paused else ''}",
        }.get(item.kind, "")
        emits = ", ".join(emit.topic for emit in item.emits)
        rows.append((str(item.kind), item.name, trigger, emits, item.relpath))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join(
            [*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]
        )
        for row in rows
    ]
    found = registry.all_problems
    wrong = problems.count(found)
    total = words.plural(len(registry.steps), "step")
    sums = f"{total}, {words.plural(len(registry.streams), 'stream')}"
    return (
        "\n".join([paint.bold(lines[0]), *lines[1:]])
        + "\n\n"
        + problems.render(found, paint)
        + ("\n" if found else "")
        + f"{sums}{', ' + wrong if wrong else ''}\n"
    )
