"""`stepweave events`: dead letters, listed, shown, delivered anew or discarded."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from stepweave.cli import options, words

if TYPE_CHECKING:
    from stepweave.cli.desk import Desk

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Look through the dead letters, the events on which a step failed for good, and deliver them anew.
It works on the running server, or on the project's data when none runs."""
EXAMPLES = """\
  stepweave events dead                          the newest dead letters
  stepweave events show 7                        all of one, with its data and where it failed
  stepweave events retry 7 8                     deliver them again, as they were
  stepweave events retry 7 --data '{"id": 1}'    deliver it with other data
  stepweave events retry --all --step Pay        deliver all on which one step failed
  stepweave events discard 7                     forget it"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which letters."""
    subcommands = options.add_subcommands(parser, EXAMPLES)

    dead = subcommands("dead", "list the dead letters, newest first", _dead)
    options.add_limit(dead)
    dead.add_argument(
        "--before", type=_id, metavar="ID", help="go on with those that are older than this"
    )

    show = subcommands("show", "show all of a dead letter", _show)
    show.add_argument("id", type=_id, metavar="ID")

    retry = subcommands("retry", "deliver dead letters anew", _retry)
    _add_letters(retry)
    retry.add_argument(
        "--data",
        metavar="JSON",
        help="deliver this instead of their own data: JSON, @FILE, or - for stdin",
    )

    discard = subcommands("discard", "forget dead letters", _discard)
    _add_letters(discard)


def run(args: argparse.Namespace) -> int:
    """0 if all went well, 1 if a letter was not there."""
    return options.run_subcommand(args)


def _add_letters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", type=_id, metavar="ID")
    parser.add_argument("--all", action="store_true", help="all there are")
    parser.add_argument("--step", metavar="NAME", help="with --all: those of this step alone")


def _id(text: str) -> str:
    if not (text.isdecimal() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f'"{text}" is no id of a dead letter, which is a number')
    return str(int(text))


def _dead(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli.table import table

    found = desk.ask("GET", "dead", query={"limit": args.limit, "before": args.before})
    if args.json:
        options.write_json(found)
        return 0
    rows = [
        (
            str(letter["id"]),
            _time(letter["at"]),
            letter["step"],
            letter["topic"],
            words.plural(letter["attempts"], "try", "tries"),
            str(letter["error"].get("message", "")),
        )
        for letter in found["dead"]
    ]
    if not rows:
        print("there are no dead letters", file=sys.stderr)
        return 0
    sys.stdout.write(table(("ID", "DIED", "STEP", "TOPIC", "AFTER", "ERROR"), rows))
    if found["next"] is not None:
        print(f"there may be more: --before {found['next']}", file=sys.stderr)
    return 0


def _show(args: argparse.Namespace, desk: Desk) -> int:
    letter = desk.ask("GET", "dead", args.id)
    if args.json:
        options.write_json(letter)
    else:
        sys.stdout.write("\n".join(_story(letter)) + "\n")
    return 0


def _retry(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli.request import read_data
    from stepweave.errors import UsageError

    _check(args)
    data = read_data(args.data)
    if args.all and data is not None:
        raise UsageError("--data changes the letters that you name, so it does not go with --all")
    if args.all:
        answer = desk.ask("POST", "dead", "retry", query={"step": args.step})
        count = words.plural(answer["retried"], "dead letter")
        return _report(args, answer, f"{count} {_fate(desk, answer['retried'])}")
    body = b'{"data":%b}' % data[1] if data is not None else b""
    return _each(
        args,
        lambda id: desk.ask("POST", "dead", id, "retry", body=body),
        lambda answer: f"{_fate(desk, 1)} as event {answer['event']}",
    )


def _discard(args: argparse.Namespace, desk: Desk) -> int:
    _check(args)
    if args.all:
        answer = desk.ask("POST", "dead", "discard", query={"step": args.step})
        count = words.plural(answer["discarded"], "dead letter")
        return _report(args, answer, f"{count} discarded")
    return _each(args, lambda id: desk.ask("DELETE", "dead", id), lambda answer: "discarded")


def _check(args: argparse.Namespace) -> None:
    from stepweave.errors import UsageError

    if bool(args.ids) == args.all:
        raise UsageError("name the dead letters by their ids, or take --all")
    if args.step is not None and not args.all:
        raise UsageError("--step goes with --all")


def _each(
    args: argparse.Namespace, act: Callable[[str], Any], words_for: Callable[[Any], str]
) -> int:
    """Do it for each id; one that is not there does not keep the others from it."""
    from stepweave.cli.desk import Missing

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
            print(f"dead letter {id} {words_for(answers[id])}")
    if args.json:
        options.write_json(answers)
    return code


def _report(args: argparse.Namespace, answer: Any, text: str) -> int:
    if args.json:
        options.write_json(answer)
    else:
        print(text)
    return 0


def _fate(desk: Desk, count: int) -> str:
    if desk.running:
        return "delivered anew"
    return f"{'waits' if count == 1 else 'wait'} for the next start"


def _story(letter: dict[str, Any]) -> Iterator[str]:
    from stepweave.cli.desk import dump
    from stepweave.paint import plain

    error = letter["error"]
    tries = words.plural(letter["attempts"], "try", "tries")
    yield f"dead letter {letter['id']}"
    yield f"  step    {plain(letter['step'])}"
    yield f"  topic   {plain(letter['topic'])}, emitted by {plain(letter['source'])}"
    if letter["group"] is not None:
        yield f"  group   {plain(letter['group'])}"
    yield f"  event   {letter['event']}"
    yield f"  trace   {letter['trace_id']}"
    yield f"  died    {_time(letter['at'])} after {tries} ({plain(letter['reason'])})"
    yield ""
    kind = f"{error['type']}: " if error.get("type") else ""
    yield plain(f"{kind}{error.get('message', '')}")
    frames = error.get("frames") or ()
    if not frames and error.get("trace"):
        yield plain(str(error["trace"]).rstrip())
    for frame in frames:
        place = f"{frame.get('file')}:{frame.get('line')}"
        yield plain(f"    at {place} in {frame.get('function') or '(top level)'}")
    yield ""
    if letter.get("problem"):
        yield f"data: {plain(letter['problem'])}"
    elif letter["type"] == "none":
        yield "no data"
    else:
        yield f"data ({letter['type']}, {words.size(letter['size'])})"
        yield plain(dump(letter["data"]).rstrip("\n"))


def _time(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at / 1000))
