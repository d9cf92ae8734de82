"""Where the figures were taken: without it they mean nothing."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import time
from pathlib import Path

__all__ = ["Foreign", "describe"]


def describe() -> dict[str, str]:
    """Processor, cores, system and the versions of the languages."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "node": _version("node"),
        "ruby": _version("ruby"),
        "load": "wrk" if shutil.which("wrk") else "built-in client",
    }


class Foreign:
    """How much of the machine others took since this was made: the doubt to read figures with."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._all = _busy_s()
        self._ours = _own_s()

    def cores(self) -> float:
        """Cores' worth of work that was not ours. Counts children of ours once they have ended."""
        took = time.monotonic() - self._began
        return max(0.0, (_busy_s() - self._all) - (_own_s() - self._ours)) / took


def _busy_s() -> float:
    """Seconds of work of the whole machine: user, nice, system, interrupts."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq = ticks[:7]
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    """Seconds of work of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(command: str) -> str:
    try:
        done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return done.stdout.strip()
