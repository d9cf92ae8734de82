"""`stepweave dev`: a project with hot reload and the workbench."""

from __future__ import annotations

import argparse

from stepweave.cli import options

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = "Run a project with hot reload and the workbench, on this machine only."
EXAMPLES = """\
  stepweave dev                     the project you are in
  stepweave dev shop --port 8080    another one, on another port
  stepweave dev --debug             with debug records"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, where to listen, how to log."""
    options.add_folder(parser)
    options.add_server_options(parser)
    options.add_log_options(parser)
    # Motia wrote flow charts with it; here the workbench draws them.
    parser.add_argument("-m", "--mermaid", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    from stepweave.cli.server import serve

    return serve(args, "dev")
