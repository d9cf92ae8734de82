"""The processes that are measured: started, waited for, weighed and stopped by their own id."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "NotAvailable", "cpu_s", "free_port", "run_json", "server", "tree"]

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT_S = 60.0


class NotAvailable(Exception):
    """A baseline that this machine cannot run; the message says what is missing."""


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def server(
    argv: Sequence[str],
    port: int,
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    ready: str | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends.

    It is up when it accepts connections on the port and, if given, answers 2xx to the path
    `ready`.

    Raises NotAvailable with the end of its output when it does not come up.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            _wait_for(port, ready, process, output)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(port: int, ready: str | None, process: subprocess.Popen[bytes], output: Any) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            if ready is None or _answers(f"http://127.0.0.1:{port}{ready}"):
                return
        time.sleep(0.02)
    output.seek(0)
    words = output.read().decode(errors="replace").strip()
    raise NotAvailable(f"{process.args!r} did not start: …{words[-2000:]}")


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=START_LIMIT_S).close()
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False
    return True


def run_json(module: str, *arguments: str) -> Any:
    """Run one of our modules in a process of its own; it prints one line of JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise NotAvailable(f"{module} {' '.join(arguments)}: …{done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def tree(pid: int) -> list[tuple[str, float, float]]:
    """Name, RSS and PSS in MB of a process and of all below it, parents first."""
    return [_weigh(each) for each in _family(pid)]


def cpu_s(pid: int) -> float:
    """Processor seconds that a process and all below it have used."""
    ticks = 0
    for each in _family(pid):
        words = (Path("/proc") / str(each) / "stat").read_text().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (folder / "stat").read_text()
                parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += sorted(child for child, of in parents.items() if of == parent)
    return found


def _weigh(pid: int) -> tuple[str, float, float]:
    folder = Path("/proc") / str(pid)
    words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    sizes = {
        line.split(":")[0]: int(line.split()[1]) / 1024
        for line in (folder / "smaps_rollup").read_text().splitlines()[1:]
    }
    return Path(words[0]).name, sizes["Rss"], sizes["Pss"]
