"""What `run` tells: the result on stdout, and around it the story of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from stepweave import payload
from stepweave.calls import Outcome
from stepweave.cli import words
from stepweave.engine.delivery import refusals
from stepweave.errors import InvalidInput
from stepweave.paint import Paint, plain
from stepweave.steps.model import Kind, Step
from stepweave.trace import Span

__all__ = ["Run", "as_json", "result", "story"]

_SERVER_ERROR = 500
_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


class Run(NamedTuple):
    """A finished run; `trace` is what the trace store has of it, {} if nothing.

    `waiting` counts the project's deliveries that are left for later: delayed ones, retries, groups
    that are held.
    """

    step: Step
    span: Span
    outcome: Outcome
    trace: Mapping[str, Any]
    waiting: int

    @property
    def response(self) -> Mapping[str, Any]:
        """What an API step answered: status, headers, body; {} for others."""
        result = self.outcome.result
        return result if self.step.kind is Kind.API and isinstance(result, dict) else {}

    @property
    def value(self) -> Any:
        """The result, or the body of the answer, as a Python value."""
        data = self.response.get("body") if self.step.kind is Kind.API else self.outcome.result
        try:
            return payload.decode(data)
        except (InvalidInput, TypeError, ValueError):
            return data

    @property
    def went_well(self) -> bool:
        """Whether the step itself did."""
        return self.outcome.status == "ok" and self.response.get("status", 200) < _SERVER_ERROR

    @property
    def ok(self) -> bool:
        """Whether the step, and whatever followed from it, went well."""
        return self.went_well and self.trace.get("status") != "error"

    @property
    def emitted(self) -> list[dict[str, Any]]:
        """The events that the step itself emitted, in order; none of an atomic one that failed."""
        if self.step.atomic and self.outcome.status != "ok":
            return []
        return [
            {"topic": detail[0], "event": detail[1], "size": detail[2]}
            for _, type, detail in self.span.events
            if type == "emit"
        ]


def as_json(run: Run) -> str:
    """Everything, as one object."""
    value = run.value
    return orjson.dumps(
        {
            "step": run.step.name,
            "status": run.outcome.status,
            "ok": run.ok,
            "trace_id": run.span.trace_id,
            "duration_ms": _duration_ms(run.span),
            "http_status": run.response.get("status"),
            "headers": run.response.get("headers"),
            "result": value if not isinstance(value, bytes) else value.hex(),
            "error": run.outcome.error,
            "emitted": run.emitted,
            "waiting": run.waiting,
            "spans": [
                {key: span[key] for key in ("name", "status", "depth", "attempt", "duration_ms")}
                for span in run.trace.get("spans", ())
            ],
        },
        default=str,
        option=_PRETTY,
    ).decode()


def result(run: Run) -> str:
    """The value alone: JSON, or text as it is; "" for none."""
    value = run.value
    if value is None:
        return ""
    if isinstance(value, str) and run.step.kind is Kind.API:
        return value if value.endswith("\n") else value + "\n"
    if isinstance(value, bytes):
        return f"{words.size(len(value))} of binary data\n"
    return orjson.dumps(value, default=str, option=_PRETTY).decode()


def story(run: Run, paint: Paint, *, followed: bool) -> str:
    """How it went, what was emitted, and with `followed` what came of that."""
    return "".join(f"{line}\n" for line in _story(run, paint, followed))


def _story(run: Run, paint: Paint, followed: bool) -> Iterator[str]:
    name, took = paint.bold(run.step.name), paint.dim(f"{_duration_ms(run.span):g} ms")
    status = run.response.get("status")
    if run.outcome.status == "ok":
        sign = paint.green("✔") if run.went_well else paint.red("✖")
        yield f"{sign} {name}{f' {status}' if status else ''}  {took}"
    else:
        error = run.outcome.error or {}
        kind = f"{error['type']}: " if error.get("type") else ""
        said = plain(f"{kind}{error.get('message', run.outcome.status)}")
        if refusals.is_refusal(run.outcome):
            said += f": {plain(refusals.text(run.outcome))}"
        yield f"{paint.red('✖')} {name} {run.outcome.status}  {took}"
        yield f"  {paint.red(said)}"
        for frame in error.get("frames") or ():
            function, where = (
                frame.get("function") or "?",
                f"{frame.get('file')}:{frame.get('line')}",
            )
            yield f"    {paint.dim(plain(f'at {function} ({where})'))}"
    for event in run.emitted:
        yield f"  emitted {paint.cyan(event['topic'])}  {paint.dim(words.size(event['size']))}"
    spans = [span for span in run.trace.get("spans", ()) if span["depth"] > 0]
    for span in spans if followed else ():
        sign = paint.green("✔") if span["status"] == "ok" else paint.red("✖")
        again = f" (attempt {span['attempt']})" if span["attempt"] > 1 else ""
        error = span.get("error") or {}
        said = f"  {paint.red(plain(str(error.get('message', ''))))}" if error else ""
        took = paint.dim(f"{span['duration_ms']:g} ms")
        yield f"{'  ' * span['depth']}{sign} {span['name']}{again}  {took}{said}"
    if followed and run.waiting:
        count = words.plural(run.waiting, "delivery still waits", "deliveries still wait")
        yield f"  {count} for later; `stepweave events list` shows which"
    yield paint.dim(f"  trace {run.span.trace_id}")


def _duration_ms(span: Span) -> float:
    return round((span.ended_at - span.started_at) / 1000, 1)
