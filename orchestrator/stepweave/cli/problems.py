"""Problems of step files as a person reads them: place, message, source, what to do."""

from __future__ import annotations

from collections.abc import Iterable

from stepweave.paint import Paint, plain
from stepweave.steps.model import Problem

__all__ = ["count", "render"]

_SEVERITIES = ("error", "warning", "info")


def render(problems: Iterable[Problem], paint: Paint, indent: str = "") -> str:
    """Each problem with its code frame, the gravest first; "" for none."""
    ordered = sorted(problems, key=lambda problem: _SEVERITIES.index(problem.severity))
    return "".join(_one(problem, paint, indent) for problem in ordered)


def count(problems: Iterable[Problem]) -> str:
    """ "2 errors, 1 warning"; "" for none. Infos are not worth counting."""
    severities = [problem.severity for problem in problems]
    parts = []
    for severity in _SEVERITIES[:2]:
        number = severities.count(severity)  # type: ignore[arg-type]
        if number:
            parts.append(f"{number} {severity}{'' if number == 1 else 's'}")
    return ", ".join(parts)


def _one(problem: Problem, paint: Paint, indent: str) -> str:
    sign, dress = {
        "error": ("✖", paint.red),
        "warning": ("⚠", paint.yellow),
        "info": ("i", paint.blue),
    }[problem.severity]
    place = problem.file
    if problem.line:
        place += f":{problem.line}" + (f":{problem.column}" if problem.column else "")
    lines = [f"{dress(sign)} {paint.bold(plain(place))}  {plain(problem.message)}"]
    frame = (problem.frame or "").splitlines()
    lines += [f"    {dress(row) if row.startswith('>') else paint.dim(row)}" for row in frame]
    if problem.hint:
        lines.append(f"  {paint.dim('→')} {plain(problem.hint)}")
    return "".join(f"{indent}{line}\n" for text in lines for line in text.splitlines())
