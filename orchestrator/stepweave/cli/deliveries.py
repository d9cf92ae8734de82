"""What `stepweave events` does with deliveries that are not settled: lists and cancels them."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from stepweave.calls import now_ms
from stepweave.cli import each, subcommands, words
from stepweave.cli.desk import Desk
from stepweave.cli.table import show
from stepweave.errors import UsageError
from stepweave.paint import Paint

__all__ = ["cancel", "listing", "state_style"]

_HEAD = (
    "EVENT", "STEP", "TOPIC", "STATE", "WHEN", "TRY", "GROUP", "PRIORITY", "SIZE", "ERROR",
)  # fmt: skip
_STYLES = {
    "running": Paint.green,
    "scheduled": Paint.cyan,
    "retrying": Paint.yellow,
    "held": Paint.red,
    "dead": Paint.red,
}


def listing(args: argparse.Namespace, desk: Desk) -> int:
    """`events list`."""
    found, next = _page(args, desk)
    if args.json:
        subcommands.write_json({"events": found, "next": next})
        return 0
    if found:
        now = now_ms()
        show(_HEAD, (_row(it, now) for it in found), {"STATE": state_style, "EVENT": Paint.bold})
    elif next is None:
        asked = args.step or args.topic or args.state or args.before
        print("nothing like that waits" if asked else "nothing waits", file=sys.stderr)
    if next is not None:
        print(f"there may be more: --before {words.quoted(next)}", file=sys.stderr)
    return 0


def cancel(args: argparse.Namespace, desk: Desk) -> int:
    """`events cancel`."""
    if bool(args.ids) == args.all:
        raise UsageError("name the events by their ids, or take --all")
    if args.topic is not None and not args.all:
        raise UsageError("--topic goes with --all")
    if not args.all:
        return each.each(
            args, lambda id: desk.ask("DELETE", "events", id, query={"step": args.step}), _told
        )
    to = f" to {args.step}" if args.step is not None else ""
    of = f" of {args.topic}" if args.topic is not None else ""
    if not subcommands.confirmed(args, f"Cancel all deliveries{of}{to} that have not begun?"):
        return 1
    answer = desk.ask("POST", "events", "cancel", query={"step": args.step, "topic": args.topic})
    text = f"{words.plural(answer['cancelled'], 'delivery', 'deliveries')} cancelled"
    if answer["running"]:
        runs = "that runs is" if answer["running"] == 1 else "that run are"
        text += f"; {answer['running']} {runs} left alone"
    return each.report(args, answer, text)


def state_style(paint: Paint, text: str) -> str:
    """A delivery's state in its colour."""
    style = _STYLES.get(text.strip())
    return text if style is None else style(paint, text)


def _page(args: argparse.Namespace, desk: Desk) -> tuple[list[dict[str, Any]], str | None]:
    """A page as long as was asked for: those of a state may come in several parts."""
    rows: list[dict[str, Any]] = []
    next: str | None = args.before
    while True:
        query = {
            "limit": args.limit - len(rows), "before": next,
            "step": args.step, "topic": args.topic, "state": args.state,
        }  # fmt: skip
        found = desk.ask("GET", "events", query=query)
        rows += found["events"]
        next = found["next"]
        if next is None or len(rows) >= args.limit:
            return rows, next


def _row(it: dict[str, Any], now: int) -> tuple[str, ...]:
    return (
        it["event"],
        it["step"],
        it["topic"],
        it["state"],
        words.when(it["due_at"], now),
        str(it["attempt"]),
        "" if it["group"] is None else words.name(it["group"]),
        "" if it["priority"] is None else str(it["priority"]),
        words.size(it["size"]),
        "" if it["error"] is None else str(it["error"].get("message", "")),
    )


def _told(id: str, answer: dict[str, Any]) -> str:
    count = words.plural(answer["cancelled"], "delivery", "deliveries")
    text = f"event {id}: {count if answer['cancelled'] else 'nothing'} cancelled"
    if answer["running"]:
        steps = answer["running"]
        text += f"; {', '.join(steps)} run{'s' * (len(steps) == 1)} and"
        text += f" {'is' if len(steps) == 1 else 'are'} left alone"
    return text
