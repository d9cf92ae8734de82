"""`stepweave cron`: cron steps, listed, run now, paused and resumed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stepweave.cli import subcommands, words

if TYPE_CHECKING:
    from stepweave.cli.desk import Desk

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Look at a project's cron steps, run one out of turn, pause it and resume it. It works on the running
server; without one, all but `run` work on the project's data."""
EXAMPLES = """\
  stepweave cron list              every cron step: when it runs next, how its last run ended
  stepweave cron next Audit -n 3   the next three times of one
  stepweave cron run Audit --wait  run it now, and say how that ends
  stepweave cron pause Audit       let its times pass, also after a restart
  stepweave cron resume Audit      run it at its times again"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which step."""
    add = subcommands.add(parser, EXAMPLES)

    add("list", "list the cron steps", _list)

    following = add("next", "print the next times of a step", _next)
    _add_name(following)
    following.add_argument(
        "-n", "--limit", type=int, default=10, metavar="N", help="how many, up to 1000 (10)"
    )

    run = add("run", "run a step now", _run)
    _add_name(run)
    run.add_argument("--wait", action="store_true", help="wait for its end, and fail if it does")

    _add_name(add("pause", "let a step's times pass until it is resumed", _pause))
    _add_name(add("resume", "run a paused step at its times again", _resume))


def run(args: argparse.Namespace) -> int:
    """0 if all went well, 1 if there is no such step or its run failed."""
    return subcommands.run(args)


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the step's name")


def _list(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.cli.table import table

    found = desk.ask("GET", "cron")
    if args.json:
        subcommands.write_json(found)
        return 0
    now = time.time_ns() // 1_000_000
    rows = [
        (
            job["step"],
            job["cron"],
            job["timezone"],
            "paused" if job["paused"] else words.until(job["next"], now),
            _last(job),
        )
        for job in found["cron"]
    ]
    if rows:
        sys.stdout.write(table(("NAME", "CRON", "ZONE", "NEXT", "LAST"), rows))
    else:
        print("there are no cron steps", file=sys.stderr)
    return 0


def _last(job: dict[str, Any]) -> str:
    """What a step does, and how its last run went."""
    parts = []
    if job["running"]:
        parts.append("runs now" if job["running"] == 1 else f"runs {job['running']} times now")
    if job["missed"]:
        parts.append(f"{words.plural(job['missed'], 'time')} to make up")
    last = job["last"]
    if last is not None:
        took = "" if last["duration_ms"] is None else f", {last['duration_ms']:g} ms"
        said = f": {last['error']}" if last["error"] else ""
        parts.append(f"{_time(last['at'])} {last['status']}{took}{said}")
    return "; ".join(parts) or "never"


def _next(args: argparse.Namespace, desk: Desk) -> int:
    found = desk.ask("GET", "cron", args.name, "next", query={"limit": args.limit})
    if args.json:
        subcommands.write_json(found)
        return 0
    now = time.time_ns() // 1_000_000
    for each in found["next"]:
        print(f"{each['time']}  {words.until(each['at'], now)}")
    return 0


def _run(args: argparse.Namespace, desk: Desk) -> int:
    from stepweave.errors import UsageError

    if not desk.running:
        raise UsageError(
            "no server runs this project; start it with `stepweave dev` or `stepweave start`, or "
            f"run the step alone with `stepweave run {args.name}`"
        )
    wait = "true" if args.wait else None
    answer = desk.ask("POST", "cron", args.name, "run", query={"wait": wait})
    if args.json:
        subcommands.write_json(answer)
    else:
        sys.stdout.writelines(f"{line}\n" for line in _story(answer))
    return 0 if answer["status"] in ("ok", "running") else 1


def _story(answer: dict[str, Any]) -> Iterator[str]:
    from stepweave.paint import plain

    name = plain(answer["step"])
    if answer["status"] == "running":
        yield f"{name} runs"
    else:
        yield f"{name} {answer['status']}, {answer['duration_ms']:g} ms"
    error = answer.get("error") or {}
    if error:
        kind = f"{error['type']}: " if error.get("type") else ""
        yield f"  {plain(kind + str(error.get('message', '')))}"
    for frame in error.get("frames") or ():
        place = f"{frame.get('file')}:{frame.get('line')}"
        yield f"    at {plain(place)} in {plain(str(frame.get('function') or '(top level)'))}"
    yield f"  trace {answer['trace_id']}"


def _pause(args: argparse.Namespace, desk: Desk) -> int:
    return _set(args, desk, "pause", "is paused: its times pass without a run until you resume it")


def _resume(args: argparse.Namespace, desk: Desk) -> int:
    return _set(args, desk, "resume", "runs at its times again")


def _set(args: argparse.Namespace, desk: Desk, verb: str, text: str) -> int:
    from stepweave.paint import plain

    answer = desk.ask("POST", "cron", args.name, verb)
    if args.json:
        subcommands.write_json(answer)
    else:
        print(f"{plain(args.name)} {text}")
    return 0


def _time(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at / 1000))
