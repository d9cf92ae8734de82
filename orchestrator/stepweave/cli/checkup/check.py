"""One finding of the doctor, and how programs are asked about themselves."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Check", "Status", "ask"]

Status = Literal["ok", "note", "warning", "error"]

_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at and found. An error keeps steps of the project from running.

    `fix` is a command or a sentence that mends it.
    """

    name: str
    status: Status
    detail: str
    fix: str | None = None

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def ask(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """A program's exit code and output, both streams together; (-1, reason) if it cannot run."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            cwd=cwd,
            env=env,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, f"it did not answer within {_PATIENCE_S:g} s"
    except OSError as error:
        return -1, error.strerror or str(error)
    return done.returncode, done.stdout.strip()
