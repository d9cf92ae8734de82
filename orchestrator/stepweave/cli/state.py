"""`stepweave state`: groups, keys and values, read and changed."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stepweave.cli import options, words

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
  stepweave state delete orders 7                one value
  stepweave state delete orders                  the whole group"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which group and key."""
    subcommands = options.add_subcommands(parser, EXAMPLES)

    groups = subcommands("groups", "list the groups", _groups)
    options.add_limit(groups)
    groups.add_argument("--after", metavar="GROUP", help="go on after this one")

    listing = subcommands("list", "list the keys of a group", _list)
    listing.add_argument("group", metavar="GROUP")
    options.add_limit(listing)
    listing.add_argument("--after", metavar="KEY", help="go on after this one")

    get = subcommands("get", "print a value", _get)
    get.add_argument("group", metavar="GROUP")
    get.add_argument("key", metavar="KEY")

    write = subcommands("set", "write a value", _set)
    write.add_argument("group", metavar="GROUP")
    write.add_argument("key", metavar="KEY")
    write.add_argument("value", metavar="JSON", help="JSON, @FILE, or - for stdin")

    delete = subcommands("delete", "remove a value, or a whole group", _delete)
    delete.add_argument("group", metavar="GROUP")
    delete.add_argument("key", nargs="?", metavar="KEY")


def run(args: argparse.Namespace) -> int:
    """0 if all went well, 1 if there was no such value."""
    return options.run_subcommand(args)


def _groups(args: argparse.Namespace, desk: Desk) -> int:
    found = desk.ask("GET", "state", query={"limit": args.limit, "after": args.after})
    rows = [(it["group"], str(it["count"]), words.size(it["size"])) for it in found["groups"]]
    return _listing(args, found, ("GROUP", "KEYS", "SIZE"), rows, "there is no state")


def _list(args: argparse.Namespace, desk: Desk) -> int:
    found = desk.ask("GET", "state", args.group, query={"limit": args.limit, "after": args.after})
    rows = [(it["key"], it["type"], words.size(it["size"]), _brief(it)) for it in found["values"]]
    nothing = f'there is nothing in the group "{args.group}"'
    return _listing(args, found, ("KEY", "TYPE", "SIZE", "VALUE"), rows, nothing)


def _get(args: argparse.Namespace, desk: Desk) -> int:
    found = desk.ask("GET", "state", args.group, args.key)
    if "problem" in found and not args.json:
        print(f"stepweave: {found['problem']}", file=sys.stderr)
        return 1
    options.write_json(found if args.json else found["value"])
    return 0


def _set(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli.request import read_data

    data = read_data(args.value)
    assert data is not None
    answer = desk.ask("PUT", "state", args.group, args.key, body=data[1])
    return _done(args, answer, f'"{args.key}" of "{args.group}" is set')


def _delete(args: argparse.Namespace, desk: Desk) -> int:
    if args.key is not None:
        answer = desk.ask("DELETE", "state", args.group, args.key)
        return _done(args, answer, f'"{args.key}" of "{args.group}" is deleted')
    answer = desk.ask("DELETE", "state", args.group)
    count = words.plural(answer["deleted"], "value")
    return _done(args, answer, f'{count} of "{args.group}" deleted')


def _listing(
    args: argparse.Namespace,
    found: dict[str, Any],
    head: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    nothing: str,
) -> int:
    from stepweave.cli.table import table

    if args.json:
        options.write_json(found)
        return 0
    if rows:
        sys.stdout.write(table(head, rows))
    else:
        print(nothing, file=sys.stderr)
    if found["next"] is not None:
        print(f"there may be more: --after {shlex.quote(found['next'])}", file=sys.stderr)
    return 0


def _brief(row: dict[str, Any]) -> str:
    """A value on one line; the table cuts it."""
    if "start" in row:
        return f"{row['start']}…"
    return str(row.get("problem") or json.dumps(row["value"], ensure_ascii=False))


def _done(args: argparse.Namespace, answer: dict[str, Any], text: str) -> int:
    if args.json:
        options.write_json(answer)
    else:
        from stepweave.paint import plain

        print(plain(text))
    return 0
