"""What `run` hands a step: the input that its trigger would have given, from the command line."""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode

import orjson

from stepweave.errors import UsageError
from stepweave.http import cookies
from stepweave.payload import Payload, decode
from stepweave.steps.coercion import coerced
from stepweave.steps.model import Kind, Step
from stepweave.trace import new_span_id

__all__ = ["input_of", "misfits", "parsing", "read_data"]


def input_of(
    step: Step, args: argparse.Namespace
) -> tuple[Literal["api", "event", "cron"], dict[str, Any]]:
    """The kind of call and its input. Raises UsageError for what does not fit the step."""
    data = read_data(args.data)
    if step.kind is Kind.API:
        return "api", _request(step, args, data)
    if args.param or args.query or args.header:
        raise UsageError(f"{step.name} is no API step, so it takes no --param, --query or --header")
    if step.kind is Kind.EVENT:
        return "event", _event(step, args, data)
    if step.kind is Kind.CRON:
        return "cron", {"scheduled": time.time_ns() // 1_000_000}
    raise UsageError(f"{step.name} is a {step.kind} step: it has no handler to run")


def misfits(step: Step, given: dict[str, Any]) -> list[str]:
    """What in the input the step's schema does not allow; `run` hands it over all the same."""
    if step.kind is Kind.API:
        body = {} if given["body"] is None else decode(given["body"])
        checked = [
            (step.params, given["params"], "the path"),
            (step.query, given["query"], "the query"),
            (step.body, body, "the body"),
        ]
    elif "events" in given:
        items = enumerate(decode(given["data"]))
        checked = [(step.input, item, f"event {position}") for position, item in items]
    else:
        checked = [(step.input, decode(given.get("data")), "the data")]
    return [
        f"{where} does not fit its schema: {issue}"
        for schema, data, where in checked
        if schema is not None
        for issue in schema.issues(data)
    ]


def parsing(step: Step, given: dict[str, Any], fits: bool, strict: bool) -> bool | Literal["warn"]:
    """How the step's own schemas run on the input, which is as if a client or an event brought it.

    False if they do not; "warn" hands over what they refuse as it came.
    """
    if step.kind is Kind.API or not step.parses:
        return step.parses
    if not (fits or strict or "events" in given):
        return False
    return True if strict else "warn"


def read_data(text: str | None, option: str = "--data") -> Payload | None:
    """The JSON of `option`: itself, of a file after @, of stdin for "-"; None if not given.

    Raises UsageError for a file that cannot be read and for what is not JSON.
    """
    if text is None:
        return None
    where, data = option, text.encode()
    if text == "-":
        where, data = "stdin", sys.stdin.buffer.read()
    elif text.startswith("@"):
        where = text[1:]
        try:
            data = Path(where).read_bytes()
        except OSError as error:
            raise UsageError(f"{where}: cannot be read: {error.strerror}") from error
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        hint = "; a string needs its quotes: '\"text\"'" if where == option else ""
        raise UsageError(f"{where} is not JSON: {error}{hint}") from error
    return "json", data


def _event(step: Step, args: argparse.Namespace, data: Payload | None) -> dict[str, Any]:
    topic = args.topic or (step.subscribes[0] if step.subscribes else "")
    given: dict[str, Any] = {"topic": topic, "data": data, "event": new_span_id()}
    if step.infrastructure.queue.batch is not None:
        items = decode(data)
        if not isinstance(items, list) or not items:
            raise UsageError(
                f"{step.name} takes batches: --data must be a list of the data of each event, "
                "such as '[1, 2]'"
            )
        others = [new_span_id() for _ in items[1:]]
        given["events"] = [
            {"event": id, "topic": topic, "attempt": 1} for id in (given["event"], *others)
        ]
    return given


def _request(step: Step, args: argparse.Namespace, body: Payload | None) -> dict[str, Any]:
    params = dict(args.param)
    route = step.route or "/"

    def fill(found: re.Match[str]) -> str:
        name, optional = found.group(1), found.group(2)
        if name not in params and not optional:
            raise UsageError(f"{step.method} {route} needs --param {name}=VALUE")
        return quote(params.get(name, ""), safe="")

    path = re.sub(r":(\w+)(\?)?", fill, route)
    query: dict[str, Any] = {}
    for name, value in args.query:
        old = query.get(name)
        query[name] = value if old is None else [*(old if isinstance(old, list) else [old]), value]
    headers = {name.lower(): value for name, value in args.header}
    if body is not None:
        headers.setdefault("content-type", "application/json")
    search = urlencode(args.query)
    return {
        "method": step.method,
        "path": path,
        "url": f"{path}?{search}" if search else path,
        "params": coerced(params, step.params.schema) if step.params is not None else params,
        "query": coerced(query, step.query.schema) if step.query is not None else query,
        "headers": headers,
        "cookies": cookies.parse(headers.get("cookie", "")),
        "body": body,
    }
