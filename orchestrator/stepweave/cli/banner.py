"""What `dev` and `start` say when they are ready: where, which routes and steps, what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stepweave.cli import problems, words
from stepweave.paint import Paint
from stepweave.steps.model import Kind
from stepweave.steps.registry import Registry

__all__ = ["Facts", "banner"]

_MOST_ROUTES = 40
_METHOD_CODES = {"GET": 32, "POST": 33, "PUT": 34, "PATCH": 34, "DELETE": 31}


@dataclass(frozen=True, slots=True)
class Facts:
    """A running project. Times are Unix ms; `runners` gives (name, version) by language.

    `workbench` is its URL or None, `next_runs` the next time of each cron step by its
    name; `paused` are the names of those that do not run.
    """

    version: str
    name: str
    mode: str
    url: str
    workbench: str | None
    registry: Registry
    runners: Mapping[str, tuple[str, str]]
    next_runs: Mapping[str, int]
    now: int
    took_s: float
    notes: Sequence[str] = field(default=())
    paused: Collection[str] = field(default=())


def banner(facts: Facts, paint: Paint) -> str:
    """The text, a blank line before and after it."""
    found = facts.registry.all_problems
    parts = [
        _head(facts, paint),
        _section("routes", _routes(facts, paint), paint),
        _section("cron", _cron(facts, paint), paint),
        _section("streams", _streams(facts, paint), paint),
        _section("steps", _steps(facts, paint), paint),
        problems.render((each for each in found if each.severity != "info"), paint, "  "),
        _foot(facts, problems.count(found), paint),
    ]
    return "\n" + "\n".join(part for part in parts if part) + "\n"


def _head(facts: Facts, paint: Paint) -> str:
    lines = [
        f"  {paint(f'Stepweave {facts.version}', 1, 36)}  {paint.bold(facts.name)}"
        f"  {paint.dim(facts.mode)}",
        "",
        f"  {paint.green('➜')} {paint.bold(facts.url + '/')}",
    ]
    if facts.workbench is not None:
        lines.append(
            f"  {paint.green('➜')} {paint.bold(facts.workbench)}  {paint.dim('workbench')}"
        )
    lines += [f"  {paint.yellow('⚠')} {note}" for note in facts.notes]
    return "\n".join(lines) + "\n"


def _section(title: str, rows: Iterator[str], paint: Paint) -> str:
    lines = list(rows)
    return "\n".join([f"  {paint.bold(title)}", *lines]) + "\n" if lines else ""


def _routes(facts: Facts, paint: Paint) -> Iterator[str]:
    routes = facts.registry.routes
    width = max((len(route.path) for route in routes[:_MOST_ROUTES]), default=0)
    for route in routes[:_MOST_ROUTES]:
        method = paint(f"{route.method:<7}", _METHOD_CODES.get(route.method, 36))
        yield f"    {method} {route.path:<{width}}  {paint.dim(route.step.relpath)}"
    if len(routes) > _MOST_ROUTES:
        yield paint.dim(f"    … {len(routes) - _MOST_ROUTES} more: stepweave steps")


def _cron(facts: Facts, paint: Paint) -> Iterator[str]:
    steps = facts.registry.of_kind(Kind.CRON)
    names = max((len(step.name) for step in steps), default=0)
    crons = max((len(step.cron or "") for step in steps), default=0)
    for step in steps:
        due = facts.next_runs.get(step.name)
        when = "" if due is None else f"  {paint.dim(words.until(due, facts.now))}"
        if step.name in facts.paused:
            when = f"  {paint.yellow('paused')}"
        yield f"    {step.name:<{names}}  {step.cron or '':<{crons}}{when}"


def _streams(facts: Facts, paint: Paint) -> Iterator[str]:
    if facts.registry.streams:
        yield f"    {', '.join(sorted(facts.registry.streams))}"


def _steps(facts: Facts, paint: Paint) -> Iterator[str]:
    counts = Counter(step.language for step in facts.registry.steps.values())
    titles = {name: f"{count} {words.language(name)}" for name, count in counts.items()}
    width = max(map(len, titles.values()), default=0)
    for name in sorted(counts, key=lambda each: (-counts[each], each)):
        runner = " ".join(facts.runners.get(name, ("no runner", "")))
        yield f"    {titles[name]:<{width}}  {paint.dim(runner.strip())}"


def _foot(facts: Facts, wrong: str, paint: Paint) -> str:
    total = len(facts.registry.steps)
    if not facts.registry.entries:
        return "  There is no step yet: write steps/hello.step.py, and it appears here.\n"
    state = paint.red(wrong) if "error" in wrong else paint.yellow(wrong)
    ready = f"  {words.plural(total, 'step')} ready in {facts.took_s * 1000:.0f} ms"
    return f"{ready}{', ' + state if wrong else ''}\n"
