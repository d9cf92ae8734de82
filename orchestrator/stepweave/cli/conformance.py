"""`stepweave conformance`: the conformance kit, mounted."""

from __future__ import annotations

import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = "Prove that a program speaks the runner protocol, scenario by scenario."
EXAMPLES = """\
  stepweave conformance --runner python          one of our own runners
  stepweave conformance --fixtures lua/fixtures -- lua main.lua
  stepweave conformance --list                   the scenarios"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The kit's own."""
    from stepweave import conformance

    conformance.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the kit."""
    from stepweave import conformance

    return conformance.run(args)
