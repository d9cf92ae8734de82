"""A log record as text: a line for people, with a tree for large fields, or a line of JSON."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from stepweave.logs import Record
from stepweave.masking import shorten
from stepweave.paint import Paint, plain

__all__ = ["render", "render_json"]

_INLINE = 60  # characters that a field may have to stand on the line of its message
_LINE = 120  # characters of fields that one line takes
_VALUE = 2000  # characters shown of one value
_ROWS = 24  # lines shown of one value, such as a stack
_DEPTH = 4

_BARE = re.compile(r"[\w./:@+-]+")
_LEVEL_CODES: Mapping[str, int] = {"debug": 90, "info": 34, "warn": 33, "error": 31}


def render_json(record: Record) -> str:
    """The record as one line of JSON, for those who collect logs."""
    line: dict[str, Any] = {
        "time": _iso(record.at),
        "level": record.level,
        "message": record.message,
        "step": record.step,
        "traceId": record.trace_id,
        "spanId": record.span_id,
        "source": record.source,
    }
    if record.fields is not None:
        line["fields"] = orjson.Fragment(record.fields)
    return orjson.dumps({key: value for key, value in line.items() if value is not None}).decode()


def render(record: Record, paint: Paint, *, fields: bool = True) -> str:
    """The record as a person reads it: one line, and one more for each field that needs it."""
    level = record.level
    second, millis = divmod(record.at, 1000)
    clock = time.strftime("%H:%M:%S", time.localtime(second))
    parts = [
        paint.dim(f"[{clock}.{millis:03d}]"),
        paint(f"{level.upper():<5}", _LEVEL_CODES.get(level, 34)),
    ]
    if record.trace_id:
        # The end of an id: its beginning is the time, which all of a minute share.
        parts.append(paint.dim(record.trace_id[-8:]))
    if record.step:
        parts.append(paint(plain(record.step), 1, 36))
    message = plain(record.message).replace("\n", "\n  ")
    parts.append(paint.red(message) if level == "error" else message)
    if record.fields is None or not fields:
        return " ".join(parts)
    inline, rows = _fields(record.fields, paint)
    return "\n".join([" ".join([*parts, *inline]), *rows])


def _fields(data: bytes, paint: Paint) -> tuple[list[str], list[str]]:
    """Short fields as `key=value` for the first line, the others as a tree below it."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = data.decode(errors="replace")
    if not isinstance(value, dict):
        value = {"value": value}
    inline: list[str] = []
    rest: dict[str, Any] = {}
    length = 0
    for key, inner in value.items():
        text = _short(inner)
        length += len(key) + len(text or "") + 2
        if text is None or length > _LINE:
            rest[key] = inner
        else:
            inline.append(f"{paint.dim(plain(key) + '=')}{_tint(text, inner, paint)}")
    rows = _tree(rest, paint, "  ", 1) if rest else iter(())
    return inline, list(rows)


def _short(value: Any) -> str | None:
    """The value as one word of a line, or None when it is too long for that."""
    if isinstance(value, str):
        if _BARE.fullmatch(value):
            return value if len(value) <= _INLINE else None
        text = orjson.dumps(value).decode()
    elif isinstance(value, dict) and "stack" in value:
        return None
    else:
        text = orjson.dumps(value).decode()
    return text if len(text) <= _INLINE and "\\n" not in text else None


def _tree(value: Any, paint: Paint, indent: str, depth: int) -> Iterator[str]:
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    for number, (key, inner) in enumerate(pairs):
        last = number == len(pairs) - 1
        head = f"{indent}{paint.dim('└' if last else '├')} {paint.dim(plain(str(key)))}"
        below = f"{indent}{' ' if last else paint.dim('│')} "
        text = _short(inner)
        if text is not None:
            yield f"{head} {_tint(text, inner, paint)}"
        elif isinstance(inner, dict) and isinstance(inner.get("stack"), str):
            yield head
            yield from _block(_stack(inner), paint, below)
        elif isinstance(inner, dict | list) and depth < _DEPTH:
            yield head
            yield from _tree(inner, paint, below, depth + 1)
        elif isinstance(inner, str) and "\n" in inner:
            yield head
            yield from _block(inner, paint, below)
        else:
            text = inner if isinstance(inner, str) else orjson.dumps(inner).decode()
            yield f"{head} {_tint(plain(shorten(text, _VALUE)), inner, paint)}"


def _block(text: str, paint: Paint, indent: str) -> Iterator[str]:
    lines = shorten(text.rstrip(), _VALUE).splitlines()
    for line in lines[:_ROWS]:
        yield f"{indent}{plain(line)}"
    if len(lines) > _ROWS:
        yield f"{indent}{paint.dim(f'… ({len(lines) - _ROWS} more lines)')}"


def _stack(error: Mapping[str, Any]) -> str:
    """An error's stack, headed by its name and message if it does not say them itself."""
    stack, message = str(error["stack"]), str(error.get("message", ""))
    return stack if message in stack else f"{error.get('name', 'Error')}: {message}\n{stack}"


def _tint(text: str, value: Any, paint: Paint) -> str:
    if isinstance(value, bool) or value is None:
        return paint.blue(text)
    if isinstance(value, int | float):
        return paint.green(text)
    return paint.cyan(plain(text)) if isinstance(value, str) else plain(text)


def _iso(at: int) -> str:
    second, millis = divmod(at, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{millis:03d}Z"
