"""What several commands share: their options, opening the project, and where the log goes."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from stepweave.console import Console
    from stepweave.project import Project

__all__ = [
    "add_folder",
    "add_log_options",
    "add_server_options",
    "console",
    "open_project",
    "run_loop",
]


_T = TypeVar("_T")


def add_folder(parser: argparse.ArgumentParser) -> None:
    """`[DIR]`: the project."""
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help="the project's folder (default: the one you are in, or the nearest above it)",
    )


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """`--port` and `--host`, which win over all settings."""
    parser.add_argument(
        "-p", "--port", type=_port, metavar="N", help="port (default: PORT, settings, 5173)"
    )
    parser.add_argument(
        "-H", "--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)"
    )


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """How the log looks."""
    group = parser.add_argument_group("log")
    group.add_argument("-d", "--debug", action="store_true", help="show debug records, too")
    group.add_argument(
        "-v", "--disable-verbose", action="store_true", help="show messages without their fields"
    )
    group.add_argument("--no-color", action="store_true", help="no colours (NO_COLOR works, too)")
    group.add_argument("--json-logs", action="store_true", help="one JSON object a line")


def open_project(folder: str | None) -> Project:
    """The project that was named, or the one around the current folder.

    Raises UsageError when there is none, or its settings are wrong.
    """
    from stepweave.project import Project

    return Project.find() if folder is None else Project.open(folder)


@contextlib.contextmanager
def console(
    args: argparse.Namespace, project: Project, stream: TextIO | None = None
) -> Iterator[Console]:
    """A console as the options and LOG_LEVEL ask for, written out and closed at the end."""
    from stepweave.console import Console
    from stepweave.logs import level_of

    level = level_of(
        "debug"
        if args.debug
        else os.environ.get("LOG_LEVEL") or project.env.get("LOG_LEVEL") or "info"
    )
    made = Console(
        stream or sys.stdout,
        level=level,
        color=False if args.no_color else None,
        fields=not args.disable_verbose,
        as_json=args.json_logs,
    )
    try:
        yield made
    finally:
        made.close()


def run_loop(work: Callable[[], Awaitable[_T]]) -> _T:
    """Run it on uvloop where that is installed, else on asyncio's own loop."""
    import importlib.util

    import anyio

    has_uvloop = importlib.util.find_spec("uvloop") is not None
    return anyio.run(work, backend="asyncio", backend_options={"use_uvloop": has_uvloop})


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is not a port; use 0 to 65535')
    return port
