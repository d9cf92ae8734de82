"""All of an event or a dead letter, told to a person."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from stepweave.calls import now_ms
from stepweave.cli import words
from stepweave.cli.deliveries import state_style
from stepweave.cli.desk import dump
from stepweave.paint import Paint, plain, wants_color

__all__ = ["tell_event", "tell_letter"]


def tell_event(event: dict[str, Any]) -> None:
    """`events show` for an event."""
    _write(_event(event, Paint(wants_color(sys.stdout))))


def tell_letter(letter: dict[str, Any]) -> None:
    """`events show` for a dead letter."""
    _write(_letter(letter, Paint(wants_color(sys.stdout))))


def _write(lines: Iterator[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


def _event(event: dict[str, Any], paint: Paint) -> Iterator[str]:
    yield paint.bold(f"event {event['event']}")
    yield from _origin(event)
    yield f"  emitted {words.stamp(event['at'])}"
    now = now_ms()
    for it in event["deliveries"]:
        yield ""
        state = state_style(paint, it["state"])
        if it["state"] == "dead":
            tries = words.plural(it["attempt"], "try", "tries")
            more = f" after {tries} ({plain(it['reason'])}): dead letter {it['dead']}"
        else:
            more = f", try {it['attempt']}, {words.when(it['due_at'], now)}"
        priority = f", priority {it['priority']}" if it.get("priority") is not None else ""
        yield f"{paint.bold(plain(it['step']))} {state}{more}{priority}"
        yield from _errors(it["errors"], paint)
    yield ""
    yield from _data(event)


def _letter(letter: dict[str, Any], paint: Paint) -> Iterator[str]:
    tries = words.plural(letter["attempts"], "try", "tries")
    yield paint.bold(f"dead letter {letter['id']}")
    yield f"  step    {plain(letter['step'])}"
    yield from _origin(letter)
    yield f"  event   {letter['event']}, emitted {words.stamp(letter['event_at'])}"
    yield f"  died    {words.stamp(letter['at'])} after {tries} ({plain(letter['reason'])})"
    if letter["holds"]:
        count = words.plural(letter["behind"], "delivery", "deliveries")
        group = plain(words.name(letter["group"]))
        waits = "waits" if letter["behind"] == 1 else "wait"
        text = f"  holds   {group}: {count} behind it {waits} until it is retried or discarded"
        yield paint.red(text)
    yield ""
    yield from _errors(letter["errors"], paint)
    yield ""
    yield from _data(letter)


def _origin(it: dict[str, Any]) -> Iterator[str]:
    yield f"  topic   {plain(it['topic'])}, emitted by {plain(it['source'])}"
    if it["group"] is not None:
        yield f"  group   {plain(words.name(it['group']))}"
    yield f"  trace   {it['trace_id']}"


def _errors(errors: list[dict[str, Any]], paint: Paint) -> Iterator[str]:
    """Each try's error; one that repeats the one before it is not told again."""
    before = None
    for error in errors:
        shown = (_what(error), error.get("frames"), error.get("trace"))
        head = f"  try {error['attempt']}" if "attempt" in error else "  a try"
        if "at" in error:
            head += f", {words.stamp(error['at'])}"
        if error.get("status", "error") != "error":
            head += f", {plain(str(error['status']))}"
        if shown == before:
            yield paint.dim(f"{head}: the same")
            continue
        before = shown
        yield paint.dim(head)
        for line in _what(error).split("\n"):
            yield f"    {paint.red(plain(line))}"
        yield from _frames(error)


def _what(error: dict[str, Any]) -> str:
    kind = f"{error['type']}: " if error.get("type") else ""
    return f"{kind}{error.get('message', '')}"


def _frames(error: dict[str, Any]) -> Iterator[str]:
    frames = error.get("frames") or ()
    if not frames and error.get("trace"):
        for line in str(error["trace"]).rstrip().split("\n"):
            yield f"      {plain(line)}"
    for frame in frames:
        place = f"{frame.get('file')}:{frame.get('line')}"
        yield plain(f"      at {place} in {frame.get('function') or '(top level)'}")


def _data(it: dict[str, Any]) -> Iterator[str]:
    if it.get("problem"):
        yield f"data: {plain(it['problem'])}"
    elif it["type"] == "none":
        yield "no data"
    else:
        yield f"data ({it['type']}, {words.size(it['size'])})"
        yield plain(dump(it["data"]).rstrip("\n"))
