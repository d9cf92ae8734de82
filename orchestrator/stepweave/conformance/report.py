"""What a run of the kit found, in lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, TextIO

from stepweave.errors import UsageError

__all__ = ["KnownFailing", "Report", "Result", "Status"]

Status = Literal["passed", "failed", "skipped"]

_STDERR_LINES = 8


@dataclass(frozen=True, slots=True)
class Result:
    """How one scenario went; `reason` says why it failed or was skipped."""

    name: str
    spec: str
    status: Status
    reason: str = ""
    stderr: str = ""


class KnownFailing:
    """Names (or globs) of scenarios that may fail, one a line; `#` begins a comment."""

    def __init__(self, path: Path | None) -> None:
        self._globs: list[str] = []
        if path is None:
            return
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        self._globs = [text for line in lines if (text := line.split("#")[0].strip())]

    def __contains__(self, name: str) -> bool:
        return any(fnmatchcase(name, glob) for glob in self._globs)


class Report:
    """Collects results and writes them as they come.

    A known failure counts as skipped, so that the closing line and the exit code speak of
    what is new; one that passes is named.
    """

    def __init__(self, out: TextIO, known: KnownFailing, verbose: bool = False) -> None:
        self.results: list[Result] = []
        self._out = out
        self._known = known
        self._verbose = verbose
        self._counts: Counter[Status] = Counter()
        self._skips: Counter[str] = Counter()
        self._recovered: list[str] = []

    @property
    def failed(self) -> bool:
        """Whether anything failed that is not known to."""
        return self._counts["failed"] > 0

    def add(self, result: Result) -> None:
        """Count a result, and write a line if somebody has to read it."""
        self.results.append(result)
        status = result.status
        if result.name in self._known and status != "skipped":
            if status == "passed":
                self._recovered.append(result.name)
            else:
                status = "skipped"
                self._skips["known to fail"] += 1
        elif status == "skipped":
            self._skips[result.reason] += 1
        self._counts[status] += 1
        if status == "failed":
            self._write(f"FAIL {result.name} (SPEC {result.spec}): {result.reason}")
            self._stderr(result.stderr)
        elif self._verbose:
            self._write(f"{status:7} {result.name}{f': {result.reason}' if result.reason else ''}")

    def dead(self, reason: str, stderr: str, count: int) -> None:
        """The runner cannot be started or shaken hands with, so none of `count` scenarios ran."""
        self.results.append(Result("handshake", "5.2", "failed", reason, stderr))
        self._counts["failed"] += 1
        if count:
            self._counts["skipped"] += count
            self._skips["the runner did not get ready"] += count
        self._write(f"FAIL no handshake, so nothing was tested (SPEC 5.2): {reason}")
        self._stderr(stderr)

    def close(self) -> None:
        """Write why scenarios were skipped, what has recovered, and the closing line."""
        for reason, count in self._skips.items():
            self._write(f"skipped {count}: {reason}")
        for name in self._recovered:
            self._write(f"{name} passes now; take it from the list of known failures")
        counts = self._counts
        self._write(
            f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"
        )

    def tracer(self) -> Callable[[str, str], None]:
        """A function that writes each frame with its direction."""
        return lambda direction, text: self._write(f"  {direction} {text}")

    def note(self, text: str) -> None:
        """A line of its own, such as the name of the scenario whose frames follow."""
        self._write(text)

    def _stderr(self, text: str) -> None:
        lines = text.rstrip().splitlines()
        if lines:
            self._write("  its last lines on stderr:")
        for line in lines[-_STDERR_LINES:]:
            self._write(f"    {line}")

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()
