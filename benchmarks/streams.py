"""Streams: changes of one item to 2,000 WebSocket clients, beside a bare broadcast."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from benchmarks import servers
from benchmarks.processes import ROOT, NotAvailable, cpu_s, free_port, server, tree
from benchmarks.rounds import Case, Figures, take_turns
from benchmarks.settings import Settings
from benchmarks.table import Row, Table

__all__ = ["run"]

CLIENTS = 2000
STEPS = {
    "bench.stream.py": 'config = {"name": "bench", "schema": {"n": "integer"}}\n',
    "fan.step.py": """
config = {"type": "api", "name": "Fan", "method": "POST", "path": "/fan"}
TEXT = "x" * 120


async def handler(req, context):
    for n in range(req.body["count"]):
        await context.streams.bench.set("g", "a", {"n": n, "text": TEXT})
    return {"status": 200, "body": {}}
""",
}


class Crowd:
    """The clients of one server, in a process of their own."""

    def __init__(self, process: subprocess.Popen[str], pid: int, kb: float) -> None:
        self._process = process
        self._pid = pid
        self._kb = kb

    def send(self, count: int) -> float:
        """Have documents sent to every client; the seconds until all had all."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise NotAvailable("the clients have gone")
        return float(line)

    def measure(self, changes: int) -> Figures:
        """Figures of one round."""
        used = cpu_s(self._pid)
        took = self.send(changes)
        used = cpu_s(self._pid) - used
        single = sorted(self.send(1) for _ in range(5))[2]
        documents = changes * CLIENTS
        return {
            "messages/s": documents / took,
            "cpu µs": used / documents * 1e6,
            "one to all µs": single * 1e6,
            "kB/client": self._kb,
        }


def run(settings: Settings) -> list[Table]:
    """One table."""
    changes = max(50, int(100 * settings.seconds))
    notes = [
        f"{CLIENTS} clients in one process follow one group; a document has about 250 bytes",
        "stepweave stores each change and syncs it to disk before it is sent, websockets does not",
        "cpu is the server's own process per message; kB is its memory per client",
    ]
    with contextlib.ExitStack() as stack:
        port = free_port()
        argv = [sys.executable, "-m", "benchmarks.bare.broadcast", str(port)]
        bare = stack.enter_context(server(argv, port))
        ours = stack.enter_context(servers.stepweave(STEPS))
        crowds = {
            "websockets": stack.enter_context(_crowd(f"http://127.0.0.1:{port}", bare.pid, "")),
            "stepweave": stack.enter_context(_crowd(ours.base, ours.pid, "/fan")),
        }
        for crowd in crowds.values():
            crowd.send(10)

        def case(name: str) -> Callable[[], Figures]:
            return lambda: crowds[name].measure(changes)

        cases = [
            Case("websockets", case("websockets")),
            Case("stepweave", case("stepweave"), "websockets"),
        ]
        rows: list[Row] = take_turns(cases, settings.rounds, "messages/s")
    columns = ("messages/s", "cpu µs", "one to all µs", "kB/client")
    return [Table(f"streams: one group, {CLIENTS} clients", columns, rows, notes)]


@contextlib.contextmanager
def _crowd(base: str, pid: int, path: str) -> Iterator[Crowd]:
    place = urlsplit(base)
    before = tree(pid)[0][2]
    argv = [sys.executable, "-m", "benchmarks.followers", place.hostname or "", str(place.port)]
    process = subprocess.Popen(
        [*argv, str(CLIENTS), path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin and process.stdout
        if process.stdout.readline() != "ready\n":
            raise NotAvailable(f"{CLIENTS} clients could not connect (see ulimit -n)")
        kb = (tree(pid)[0][2] - before) * 1000 / CLIENTS
        yield Crowd(process, pid, kb)
    finally:
        process.kill()
        process.wait()
