"""`stepweave state`: groups, keys and values, read and changed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stepweave.cli import subcommands, words

if TYPE_CHECKING:
    from stepweave.cli.desk import Desk

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Read and change a project's state. It works on the running server, or on the project's data when
none runs."""
EXAMPLES = """\
  stepweave state groups                         every group, with how much it holds
  stepweave state list orders                    the keys of a group, with their values
  stepweave state get orders 7                   one value, as JSON
  stepweave state set orders 7 '{"paid": true}'  JSON, @FILE, or - for stdin
  stepweave state set jobs night 1 --ttl 10m     for ten minutes
  stepweave state set jobs night 1 --absent      only if there is none yet
  stepweave state set jobs night 2 --expect 1    only if it holds 1 now
  stepweave state delete orders 7                one value
  stepweave state delete orders                  the whole group"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which group and key."""
    add = subcommands.add(parser, EXAMPLES)

    groups = add("groups", "list the groups", _groups)
    subcommands.add_limit(groups)
    groups.add_argument("--after", metavar="GROUP", help="go on after this one")

    listing = add("list", "list the keys of a group", _list)
    listing.add_argument("group", metavar="GROUP")
    subcommands.add_limit(listing)
    listing.add_argument("--after", metavar="KEY", help="go on after this one")

    get = add("get", "print a value", _get)
    get.add_argument("group", metavar="GROUP")
    get.add_argument("key", metavar="KEY")

    write = add("set", "write a value", _set)
    write.add_argument("group", metavar="GROUP")
    write.add_argument("key", metavar="KEY")
    write.add_argument("value", metavar="JSON", help="JSON, @FILE, or - for stdin")
    write.add_argument(
        "--ttl", type=_duration, metavar="TIME", help="how long it stays, such as 90s, 10m or 2h"
    )
    guard = write.add_mutually_exclusive_group()
    guard.add_argument(
        "--expect", metavar="JSON", help="only if it holds this now: JSON, @FILE, or - for stdin"
    )
    guard.add_argument("--absent", action="store_true", help="only if there is no value yet")

    delete = add("delete", "remove a value, or a whole group", _delete)
    delete.add_argument("group", metavar="GROUP")
    delete.add_argument("key", nargs="?", metavar="KEY")
    subcommands.add_yes(delete)


def run(args: argparse.Namespace) -> int:
    """0 if all went well, 1 if there was no such value, or not the one that was expected."""
    return subcommands.run(args)


def _duration(text: str) -> float:
    from stepweave.project.values import seconds

    try:
        return seconds(0.001)(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" must be {error}') from error


def _groups(args: argparse.Namespace, desk: Desk) -> int:
    query = {"limit": args.limit, "after": args.after}
    if args.json:
        subcommands.write_answer(desk.fetch("GET", "state", query=query))
        return 0
    found = desk.ask("GET", "state", query=query)
    rows = [
        (words.name(it["group"]), str(it["count"]), words.size(it["size"]))
        for it in found["groups"]
    ]
    return _listing(found, ("GROUP", "KEYS", "SIZE"), rows, "there is no state")


def _list(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.calls import now_ms

    query = {"limit": args.limit, "after": args.after}
    if args.json:
        subcommands.write_answer(desk.fetch("GET", "state", args.group, query=query))
        return 0
    found = desk.ask("GET", "state", args.group, query=query)
    now = now_ms()
    rows = [
        (
            words.name(it["key"]),
            it["type"],
            words.size(it["size"]),
            "" if it["expires_at"] is None else words.until(it["expires_at"], now),
            _brief(it),
        )
        for it in found["values"]
    ]
    nothing = f"there is nothing in the group {_named(args.group)}"
    return _listing(found, ("KEY", "TYPE", "SIZE", "EXPIRES", "VALUE"), rows, nothing)


def _get(args: argparse.Namespace, desk: Desk) -> int:
    only = None if args.json else "value"
    subcommands.write_answer(desk.fetch("GET", "state", args.group, args.key, query={"only": only}))
    return 0


def _set(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli.request import read_data
    from stepweave.errors import UsageError

    if args.value == args.expect == "-":
        raise UsageError("stdin can be the value or what is expected, not both")
    data = read_data(args.value, "the value")
    assert data is not None
    version = "none" if args.absent else None
    if args.expect is not None:
        expected = read_data(args.expect, "--expect")
        assert expected is not None
        version = _version(args, desk, json.loads(expected[1]))
        if version is None:
            return 1
    query = {"ttl_s": args.ttl, "version": version}
    answer = desk.ask("PUT", "state", args.group, args.key, query=query, body=data[1])
    return _done(args, answer, f"{_named(args.key)} of {_named(args.group)} is set")


def _version(args: argparse.Namespace, desk: Desk, expected: Any) -> str | None:
    """The version of what is there if it is what is expected, else None, and why."""
    from stepweave.cli.desk import Missing
    from stepweave.paint import plain

    what = f"{_named(args.key)} of {_named(args.group)}"
    try:
        found = desk.ask("GET", "state", args.group, args.key)
    except Missing:
        print(f"stepweave: {plain(what)} is not there, so it was not set", file=sys.stderr)
        return None
    if "problem" in found or _canonical(found["value"]) != _canonical(expected):
        text = f"{what} holds {_brief(found):.200}, so it was left as it is"
        print(f"stepweave: {plain(text)}", file=sys.stderr)
        return None
    return str(found["version"])


def _canonical(value: Any) -> str:
    """Values are the same when these are: 1 is not true, and keys have no order."""
    return json.dumps(value, sort_keys=True)


def _delete(args: argparse.Namespace, desk: Desk) -> int:
    group = _named(args.group)
    if args.key is not None:
        answer = desk.ask("DELETE", "state", args.group, args.key)
        return _done(args, answer, f"{_named(args.key)} of {group} is deleted")
    if not subcommands.confirmed(args, f"Delete the whole group {group}?"):
        return 1
    answer = desk.ask("DELETE", "state", args.group)
    count = words.plural(answer["deleted"], "value")
    return _done(args, answer, f"{count} of {group} deleted")


def _listing(
    found: dict[str, Any], head: tuple[str, ...], rows: Sequence[tuple[str, ...]], nothing: str
) -> int:
    from stepweave.cli.table import show
    from stepweave.paint import Paint

    if rows:
        show(head, rows, {"KEY": Paint.bold, "GROUP": Paint.bold})
    else:
        print(nothing, file=sys.stderr)
    if found["next"] is not None:
        print(f"there may be more: --after {words.quoted(found['next'])}", file=sys.stderr)
    return 0


def _named(name: str) -> str:
    """A name between quotes, as JSON where it holds what cannot be printed."""
    return f'"{name}"' if name.isprintable() else json.dumps(name)


def _brief(row: dict[str, Any]) -> str:
    """A value on one line; the table cuts it."""
    if "start" in row:
        return f"{row['start']}…"
    return str(row.get("problem") or json.dumps(row["value"], ensure_ascii=False))


def _done(args: argparse.Namespace, answer: dict[str, Any], text: str) -> int:
    if args.json:
        subcommands.write_json(answer)
    else:
        from stepweave.paint import plain

        print(plain(text))
    return 0
