"""`stepweave events`: what waits and what died, listed, shown, cancelled, delivered anew."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from stepweave.cli import subcommands

if TYPE_CHECKING:
    from stepweave.cli.desk import Desk

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Look through the deliveries that wait and cancel them; look through the dead letters, the events on
which a step failed for good, and deliver them anew. It works on the running server, or on the
project's data when none runs."""
EXAMPLES = """\
  stepweave events list                          what runs, waits, and is due later
  stepweave events list --state retrying         what failed and is tried again
  stepweave events show 1b2e0f6c4a001000         an event, and what became of each delivery
  stepweave events show 7                        all of a dead letter, with every try's error
  stepweave events cancel 1b2e0f6c4a001000       take away what has not begun
  stepweave events cancel --all --step Pay       take away all that waits for one step
  stepweave events dead                          the newest dead letters
  stepweave events retry 7 8                     deliver them again, as they were
  stepweave events retry 7 --data '{"id": 1}'    deliver it with other data
  stepweave events retry --all --step Pay        deliver all on which one step failed
  stepweave events discard 7                     forget it; a group that it holds goes on"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which events and letters."""
    from stepweave.engine.desk.ledger import STATES

    add = subcommands.add(parser, EXAMPLES)

    listing = add("list", "list deliveries that are not settled, newest first", _list)
    listing.add_argument("--step", metavar="NAME", help="those to one step")
    listing.add_argument("--topic", metavar="TOPIC", help="those of one topic")
    listing.add_argument(
        "--state",
        choices=STATES,
        help="those that run; wait for their turn; are due later; failed and are tried again; "
        "wait for a dead letter of their group",
    )
    subcommands.add_limit(listing)
    listing.add_argument("--before", metavar="PLACE", help="go on after another page")

    show = add("show", "show all of an event or a dead letter", _show)
    show.add_argument(
        "id", type=_any_id, metavar="ID", help="an event's 16 digits, or a dead letter's number"
    )

    cancel = add("cancel", "take away deliveries that have not begun", _cancel)
    cancel.add_argument("ids", nargs="*", type=_event, metavar="ID")
    cancel.add_argument("--all", action="store_true", help="all there are")
    cancel.add_argument("--step", metavar="NAME", help="those to this step alone")
    cancel.add_argument("--topic", metavar="TOPIC", help="with --all: those of this topic alone")
    subcommands.add_yes(cancel)

    dead = add("dead", "list the dead letters, newest first", _dead)
    dead.add_argument("--step", metavar="NAME", help="those of one step")
    subcommands.add_limit(dead)
    dead.add_argument(
        "--before", type=_letter, metavar="ID", help="go on with those that are older than this"
    )

    retry = add("retry", "deliver dead letters anew", _retry)
    _add_letters(retry)
    retry.add_argument(
        "--data",
        metavar="JSON",
        help="deliver this instead of their own data: JSON, @FILE, or - for stdin",
    )

    discard = add("discard", "forget dead letters", _discard)
    _add_letters(discard)
    subcommands.add_yes(discard)


def run(args: argparse.Namespace) -> int:
    """0 if all went well, 1 if an event or a letter was not there."""
    return subcommands.run(args)


def _add_letters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", type=_letter, metavar="ID")
    parser.add_argument("--all", action="store_true", help="all there are")
    parser.add_argument("--step", metavar="NAME", help="with --all: those of this step alone")


def _event(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{16}", text):
        raise argparse.ArgumentTypeError(
            f'"{text}" is no id of an event, which has 16 hexadecimal digits; '
            "`stepweave events list` shows them"
        )
    return text.lower()


def _letter(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise argparse.ArgumentTypeError(
            f'"{text}" is no id of a dead letter, which is a number; '
            "`stepweave events dead` shows them"
        )
    return str(int(text))


def _any_id(text: str) -> str:
    try:
        return _event(text)
    except argparse.ArgumentTypeError:
        return _letter(text)


def _list(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli import deliveries

    return deliveries.listing(args, desk)


def _cancel(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli import deliveries

    return deliveries.cancel(args, desk)


def _show(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli import story

    of_event = len(args.id) == 16
    if args.json:
        subcommands.write_answer(desk.fetch("GET", "events" if of_event else "dead", args.id))
    elif of_event:
        story.tell_event(desk.ask("GET", "events", args.id))
    else:
        story.tell_letter(desk.ask("GET", "dead", args.id))
    return 0


def _dead(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli import letters

    return letters.listing(args, desk)


def _retry(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli import letters

    return letters.retry(args, desk)


def _discard(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli import letters

    return letters.discard(args, desk)
