"""Doing something for each of several ids, and saying how it went."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from stepweave.cli import subcommands
from stepweave.cli.desk import Missing
from stepweave.paint import plain

__all__ = ["each", "report"]


def each(
    args: argparse.Namespace, act: Callable[[str], Any], text: Callable[[str, Any], str]
) -> int:
    """Do it for each id; one that is not there does not keep the others from it."""
    code = 0
    answers: dict[str, Any] = {}
    for id in args.ids:
        try:
            answers[id] = act(id)
        except Missing as missing:
            print(f"stepweave: {missing}", file=sys.stderr)
            code = 1
            continue
        if not args.json:
            print(plain(text(id, answers[id])))
    if args.json:
        subcommands.write_json(answers)
    return code


def report(args: argparse.Namespace, answer: Any, text: str) -> int:
    """Say what was done."""
    if args.json:
        subcommands.write_json(answer)
    else:
        print(plain(text))
    return 0
