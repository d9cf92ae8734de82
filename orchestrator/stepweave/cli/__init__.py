"""The `stepweave` command, also installed as `motia`.

Only the module of the command that was asked for is imported, so that `stepweave --version`
costs no more than starting Python.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from stepweave import __version__

if TYPE_CHECKING:
    import argparse

__all__ = ["COMMANDS", "Command", "main"]

COMMANDS = {
    "dev": "run a project with hot reload and the workbench",
    "start": "run a project in production",
    "run": "run one step alone, with real state",
    "steps": "list a project's steps, routes and problems",
    "generate": "write the OpenAPI document of a project, or its TypeScript types",
    "events": "look through what waits and what died, cancel it or deliver it anew",
    "cron": "list cron steps, run one now, pause and resume",
    "state": "read and change a project's state",
    "doctor": "check what is installed, and say how to mend what is not",
    "conformance": "prove that a program is a runner",
    "version": "print the version",
}
"""Name and purpose of each command; the module in this package has the same name."""

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Command(Protocol):
    """What a command's module offers. `run` returns the exit code: 0, 1 failed, 2 usage."""

    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ""
    if sys.stdout is None:  # closed by whoever called us
        sys.stdout = open(os.devnull, "w")
    if name == "help" and len(words) > 1:
        name, words = words[1], [words[1], "--help"]
    if name == "generate-types":  # as Motia calls it
        name, words = "generate", ["generate", "types", *words[1:]]
    if name in ("version", "-V", "--version"):
        print(f"stepweave {__version__}")
        return OK
    if name in ("", "help", "-h", "--help"):
        print(overview(_program()))
        return OK if name else USAGE
    if name not in COMMANDS:
        print(_unknown(name), file=sys.stderr)
        return USAGE
    return _run(name, words[1:])


def overview(program: str) -> str:
    """What `--help` shows: every command with its purpose."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {purpose}" for name, purpose in COMMANDS.items())
    return (
        f"usage: {program} COMMAND ...\n\n"
        "A folder of steps in TypeScript, JavaScript, Python and Ruby as one running system.\n\n"
        f"commands:\n{lines}\n\n"
        f"`{program} COMMAND --help` tells more, with examples. `{program} --version` is the "
        f"version."
    )


def _run(name: str, words: list[str]) -> int:
    import argparse

    from stepweave.errors import StepweaveError, UsageError

    command: Command = importlib.import_module(f"stepweave.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=f"{_program()} {name}",
        description=command.DESCRIPTION,
        epilog=f"examples:\n{command.EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    try:
        args = parser.parse_args(words)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else USAGE
    try:
        return command.run(args)
    except StepweaveError as error:
        print(f"stepweave: {error}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not try to flush it.
        _silence()
        return FAILED
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        _silence()
        print(f"stepweave: the output cannot be written: {error.strerror}", file=sys.stderr)
        return FAILED


def _silence() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _program() -> str:
    """The name under which the program was called."""
    name = os.path.basename(sys.argv[0])
    return "python -m stepweave" if name == "__main__.py" else name or "stepweave"


def _unknown(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f'did you mean "{close[0]}"?' if close else f"there are: {', '.join(COMMANDS)}"
    return f'stepweave: there is no command "{name}"; {hint}'
