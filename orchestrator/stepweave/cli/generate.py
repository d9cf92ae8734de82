"""`stepweave generate`: what others need to know of a project, made from its configs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepweave.cli import options
from stepweave.errors import StepweaveError, UsageError

if TYPE_CHECKING:
    from stepweave.project import Project
    from stepweave.steps.registry import Registry

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = (
    "Write the OpenAPI 3.1 document of a project's API steps, as JSON or YAML, or the types of its "
    "handlers and streams for TypeScript."
)
EXAMPLES = """\
  stepweave generate types                                   types.d.ts in the project
  stepweave generate openapi                                 to stdout, as JSON
  stepweave generate openapi --output openapi.yaml           the ending tells the format
  stepweave generate openapi shop --server https://api.shop.example"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to write, for which project, where and how."""
    parser.add_argument("what", choices=["openapi", "types"], help="what to generate")
    options.add_folder(parser)
    parser.add_argument(
        "--output",
        "-o",
        metavar="FILE",
        help="the file, - for stdout; by default stdout, for types the project's types.d.ts",
    )
    parser.add_argument(
        "--format", choices=["json", "yaml"], help="by default what the file's ending says, or json"
    )
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="URL",
        help="where the API is served; may be repeated",
    )
    parser.add_argument("--title", "-t", help="by default the project's name")
    parser.add_argument("--version", "-v", help="by default that of the project")
    parser.add_argument("--debug", "-d", action="store_true", help="show debug records, too")
    parser.add_argument("--no-color", action="store_true", help="no colours")
    parser.set_defaults(disable_verbose=False, json_logs=False)


def run(args: argparse.Namespace) -> int:
    """0 if every file of the project could be read, else 1; the rest is written either way."""
    from stepweave.cli import opened, problems
    from stepweave.logs import LogHub
    from stepweave.paint import Paint, wants_color

    if args.what == "types" and (args.format or args.server or args.title or args.version):
        raise UsageError("--format, --server, --title and --version are for openapi")
    project = options.open_project(args.folder)
    with options.console(args, project, sys.stderr) as console:
        hub = LogHub(console)
        registry = options.run_loop(lambda: opened.load(project, hub))
        console.flush()
    if args.what == "types":
        _write(_types(registry), args.output or str(project.root / "types.d.ts"))
    else:
        _write_openapi(args, project, registry)
    errors = [problem for problem in registry.all_problems if problem.severity == "error"]
    if errors:
        paint = Paint(not args.no_color and wants_color(sys.stderr))
        sys.stderr.write(problems.render(errors, paint) + "\n")
    return 0 if registry.ok else 1


def _types(registry: Registry) -> str:
    from stepweave import files
    from stepweave.steps import type_file

    core = files.path("steps", "typescript", "core.d.ts").read_text("utf-8")
    return type_file.type_file(registry.steps.values(), registry.streams.values(), core)


def _write_openapi(args: argparse.Namespace, project: Project, registry: Registry) -> None:
    from stepweave.steps import openapi

    made = openapi.document(
        registry.steps.values(),
        title=args.title or project.name,
        version=args.version or project.version,
        servers=args.server or [f"http://localhost:{project.settings.server.port}"],
    )
    _write(_text(made.content, _format(args)), args.output)
    for omission in made.omissions:
        print(f"stepweave: {omission}", file=sys.stderr)


def _format(args: argparse.Namespace) -> str:
    if args.format is not None:
        return str(args.format)
    return "yaml" if str(args.output or "").endswith((".yaml", ".yml")) else "json"


def _text(content: dict[str, Any], form: str) -> str:
    if form == "yaml":
        import yaml

        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    import orjson

    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n"


def _write(text: str, output: str | None) -> None:
    if output in (None, "-"):
        sys.stdout.write(text)
        return
    try:
        Path(str(output)).write_text(text, "utf-8")
    except OSError as error:
        raise StepweaveError(f"{output}: cannot be written: {error.strerror}") from error
