"""Commands that do one of several things with a project's data, on its server or without one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepweave.cli.desk import Desk

__all__ = [
    "add",
    "add_limit",
    "add_yes",
    "at_terminal",
    "confirmed",
    "run",
    "write_answer",
    "write_json",
]


def add(
    parser: argparse.ArgumentParser, examples: str
) -> Callable[[str, str, Callable[[argparse.Namespace, Desk], int]], argparse.ArgumentParser]:
    """A function (name, purpose, what to run) that adds one, with --json, --dir and its examples.

    What runs gets the arguments and a desk, and returns the exit code.
    """
    group = parser.add_subparsers(metavar="COMMAND", required=True)

    def one(
        name: str, purpose: str, work: Callable[[argparse.Namespace, Desk], int]
    ) -> argparse.ArgumentParser:
        lines = [line for line in examples.splitlines() if line.split()[2] == name]
        made = group.add_parser(
            name,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}.",
            epilog="\n".join(["examples:", *lines]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        made.set_defaults(work=work)
        made.add_argument("--json", action="store_true", help="print JSON")
        made.add_argument(
            "--dir", metavar="DIR", help="the project's folder (default: the one you are in)"
        )
        return made

    return one


def add_limit(parser: argparse.ArgumentParser) -> None:
    """`--limit N`, for listings."""
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="at most so many, up to 1000 (100)"
    )


def add_yes(parser: argparse.ArgumentParser) -> None:
    """`--yes`, for what asks first."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask on a terminal")


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(args: argparse.Namespace, question: str) -> bool:
    """Whether to go on: asks where somebody sits at a terminal, unless `--yes` says it."""
    if args.yes or not at_terminal():
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    print("nothing was changed", file=sys.stderr)
    return False


def run(args: argparse.Namespace) -> int:
    """Open a desk for the project and do what the subcommand is for."""
    from stepweave.cli.desk import open_desk

    with open_desk(args.dir) as desk:
        code: int = args.work(args, desk)
    return code


def write_answer(text: str) -> None:
    """Print the JSON of an answer with its numbers and strings as they are."""
    from stepweave.cli.pretty import pretty

    sys.stdout.write(pretty(text))


def write_json(value: object) -> None:
    """Print a value as JSON."""
    from stepweave.cli.desk import dump

    sys.stdout.write(dump(value))
