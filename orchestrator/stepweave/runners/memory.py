"""How much memory processes hold."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

__all__ = ["resident"]

_PROC = Path("/proc")
_PS_S = 5.0


def resident(pids: Iterable[int], proc: Path = _PROC) -> dict[int, int]:
    """The resident memory of processes in bytes, from `proc` or else from `ps`.

    Those that are gone, or that nobody tells of, are left out. May block for a moment.
    """
    wanted = list(pids)
    if not (proc / "self" / "statm").exists():
        return _from_ps(wanted)
    page = os.sysconf("SC_PAGE_SIZE")
    found = {}
    for pid in wanted:
        try:
            found[pid] = int((proc / str(pid) / "statm").read_bytes().split()[1]) * page
        except (OSError, IndexError, ValueError):
            continue
    return found


def _from_ps(pids: list[int]) -> dict[int, int]:
    if not pids:
        return {}
    listed = ",".join(map(str, pids))
    try:
        done = subprocess.run(
            ["ps", "-o", "pid=,rss=", "-p", listed],
            capture_output=True,
            text=True,
            timeout=_PS_S,
            check=False,  # it fails when one of them is gone, and tells of the others
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = (line.split() for line in done.stdout.splitlines())
    return {int(row[0]): int(row[1]) << 10 for row in rows if len(row) == 2 and row[1].isdigit()}
