"""`stepweave start` as a real process that may be killed, and the ledger its handlers write."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

__all__ = [
    "LIMIT_S",
    "Server",
    "children_of",
    "is_alive",
    "launched",
    "ledger",
    "memory",
    "started",
    "until",
]

LIMIT_S = 90.0
"""How long a test waits for a condition before it gives up."""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until the function answers something true, and give that."""
    deadline = time.monotonic() + LIMIT_S
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about")
        time.sleep(0.005)
    return answer


def ledger(root: Path) -> Counter[str]:
    """How often each line was appended to the project's ledger."""
    try:
        return Counter((root / "ledger").read_text().split())
    except FileNotFoundError:
        return Counter()


def children_of(pid: int) -> set[int]:
    """The processes whose parent this is, zombies left out."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            state, parent = _status(int(entry.name))
            if parent == pid and state != "Z":
                found.add(int(entry.name))
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return _status(pid)[0] not in ("", "Z")


def memory(pid: int) -> int:
    """Bytes of a process's memory that it has to itself; 0 for none."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return (
        sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon")) << 10
    )


def _status(pid: int) -> tuple[str, int]:
    """State letter and parent of a process; ("", 0) for none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", 0
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


class Server:
    """One run of a project. `output` is where its log goes, one JSON object a line."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output
        self.http = httpx.Client(timeout=LIMIT_S)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was logged so far, as far as it is JSON."""
        found = []
        for line in self.output.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    @property
    def messages(self) -> list[str]:
        """The messages logged so far."""
        return [record.get("message", record.get("msg", "")) for record in self.records]

    @property
    def runners(self) -> set[int]:
        """The processes of its runners."""
        return children_of(self.process.pid)

    def ready(self) -> Server:
        """Wait until it serves; raises AssertionError with its output when it does not come up."""

        def up() -> dict[str, Any] | None:
            if self.process.poll() is not None:
                raise AssertionError(f"it left early:\n{self.output.read_text()}")
            return next((record for record in self.records if "url" in str(record)), None)

        record = until(up, "the start")
        url = record.get("url") or record["fields"]["url"]
        self.http.base_url = httpx.URL(url.replace("localhost", "127.0.0.1"))
        return self

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """Send a request and wait for its answer."""
        return self.http.post(path, json=body)

    def signal(self, number: signal.Signals) -> None:
        """Send the orchestrator, not its runners, a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End the orchestrator as a power switch would, and wait until it and its runners left."""
        runners = self.runners
        self.process.kill()
        self.process.wait(LIMIT_S)
        until(lambda: not any(map(is_alive, runners)), "the end of the runners")

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(LIMIT_S)


@contextlib.contextmanager
def started(
    root: Path,
    *,
    environment: Mapping[str, str] | None = None,
    prepare: Callable[[], None] | None = None,
    ready: bool = True,
    program: Sequence[str] = ("-m", "stepweave"),
    command: str = "start",
) -> Iterator[Server]:
    """Start a project on a free port, and make sure that nothing of it is left at the end.

    `prepare` is called in the new process before the program starts; `program` is what Python
    is told to run, and `command` is the command of that.
    """
    number = len(list(root.glob("log-*")))
    output = root / f"log-{number}.jsonl"
    argv = [sys.executable, *program, command, str(root), "--port", "0", "--json-logs"]
    with output.open("wb") as log:
        process = subprocess.Popen(
            argv,
            env={**os.environ, "STEPWEAVE_SHUTDOWN_GRACE_S": "30", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=prepare,
        )
    server = Server(process, output)
    try:
        yield server.ready() if ready else server
    finally:
        if process.poll() is None:
            server.kill()
        server.http.close()


def launched(root: Path) -> dict[str, Any]:
    """How a server is started whose faults are turned on in `root/faults`."""
    (root / "faults").mkdir(exist_ok=True)
    return {
        "program": (
            "-m",
            "tests.faults.launcher",
        ),
        "environment": {
            "FAULTS": str(root / "faults"),
            # The launcher is part of the tests.
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]),
        },
    }
