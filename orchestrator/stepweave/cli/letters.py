"""What `stepweave events` does with dead letters: lists them, delivers them anew, forgets them."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from stepweave.cli import each, subcommands, words
from stepweave.cli.desk import Desk
from stepweave.cli.request import read_data
from stepweave.cli.table import show
from stepweave.errors import UsageError
from stepweave.paint import Paint

__all__ = ["discard", "listing", "retry"]

_HEAD = ("ID", "DIED", "STEP", "TOPIC", "AFTER", "REASON", "GROUP", "ERROR")


def listing(args: argparse.Namespace, desk: Desk) -> int:
    """`events dead`."""
    query = {"limit": args.limit, "before": args.before, "step": args.step}
    if args.json:
        subcommands.write_answer(desk.fetch("GET", "dead", query=query))
        return 0
    found = desk.ask("GET", "dead", query=query)
    if not found["dead"]:
        print("there are no dead letters", file=sys.stderr)
        return 0
    show(_HEAD, map(_row, found["dead"]), {"GROUP": Paint.red, "ID": Paint.bold})
    if found["next"] is not None:
        print(f"there may be more: --before {found['next']}", file=sys.stderr)
    return 0


def retry(args: argparse.Namespace, desk: Desk) -> int:
    """`events retry`."""
    _check(args)
    data = read_data(args.data)
    if args.all and data is not None:
        raise UsageError("--data changes the letters that you name, so it does not go with --all")
    if args.all:
        answer = desk.ask("POST", "dead", "retry", query={"step": args.step})
        count = words.plural(answer["retried"], "dead letter")
        return each.report(args, answer, f"{count} {_fate(desk, answer['retried'])}")
    body = b'{"data":%b}' % data[1] if data is not None else b""
    return each.each(
        args,
        lambda id: desk.ask("POST", "dead", id, "retry", body=body),
        lambda id, answer: f"dead letter {id} {_fate(desk, 1)} as event {answer['event']}",
    )


def discard(args: argparse.Namespace, desk: Desk) -> int:
    """`events discard`."""
    _check(args)
    if args.all:
        which = f"the dead letters of {args.step}" if args.step is not None else "all dead letters"
        if not subcommands.confirmed(args, f"Forget {which}?"):
            return 1
        answer = desk.ask("POST", "dead", "discard", query={"step": args.step})
        count = words.plural(answer["discarded"], "dead letter")
        return each.report(args, answer, f"{count} discarded")
    return each.each(
        args,
        lambda id: desk.ask("DELETE", "dead", id),
        lambda id, answer: f"dead letter {id} discarded",
    )


def _check(args: argparse.Namespace) -> None:
    if bool(args.ids) == args.all:
        raise UsageError("name the dead letters by their ids, or take --all")
    if args.step is not None and not args.all:
        raise UsageError("--step goes with --all")


def _row(letter: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(letter["id"]),
        words.stamp(letter["at"]),
        letter["step"],
        letter["topic"],
        words.plural(letter["attempts"], "try", "tries"),
        letter["reason"],
        f"holds {words.name(letter['group'])}" if letter["holds"] else "",
        str(letter["error"].get("message", "")),
    )


def _fate(desk: Desk, count: int) -> str:
    if desk.running:
        return "delivered anew"
    return f"{'waits' if count == 1 else 'wait'} for the next start"
