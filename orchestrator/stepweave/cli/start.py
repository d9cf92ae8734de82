"""`stepweave start`: a project in production."""

from __future__ import annotations

import argparse

from stepweave.cli import options

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = (
    "Run a project in production: no hot reload, no workbench, no details of errors in answers."
)
EXAMPLES = """\
  stepweave start --host 0.0.0.0 --port 80
  PORT=8080 stepweave start dist --json-logs"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, where to listen, how to log."""
    options.add_folder(parser)
    options.add_server_options(parser)
    options.add_log_options(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    from stepweave.cli.server import serve

    return serve(args, "start")
