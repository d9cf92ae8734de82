"""A running Stepweave project as a benchmark sees it: HTTP calls and the ends of its chains."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from benchmarks.processes import NotAvailable, cpu_s
from benchmarks.rounds import Figures
from benchmarks.servers import Server

__all__ = ["Project", "Run"]

SETTLE_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Run:
    """A run of hops: the name of its results, when it began (in µs) and its figures."""

    name: str
    began: float
    figures: Figures


class Project:
    """The project behind a server that has the steps of `hop_steps`."""

    def __init__(self, server: Server) -> None:
        self.base = server.base
        self.pid = server.pid
        self._runs = 0

    def name(self) -> str:
        """A name for the next run, which keeps its results apart."""
        self._runs += 1
        return f"run-{self._runs}"

    @staticmethod
    def now() -> float:
        """The clock of the steps, in µs."""
        return time.monotonic_ns() / 1000

    def post(self, path: str, body: Any = None) -> Any:
        """Send JSON, return JSON."""
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=SETTLE_LIMIT_S) as reply:
            return json.loads(reply.read())

    def ends(self, run: str, count: int, limit_s: float = SETTLE_LIMIT_S) -> list[dict[str, float]]:
        """What the last hop of each chain noted, once all have; else raises NotAvailable."""
        deadline = time.monotonic() + limit_s
        while True:
            found: list[dict[str, float]] = self.post("/bench/ends", {"run": run})
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                raise NotAvailable(f"{len(found)} of {count} chains ended within {limit_s:g} s")
            time.sleep(0.1)

    def hops(
        self, topic: str, chains: int, length: int, limit_s: float = SETTLE_LIMIT_S, tenth: int = 0
    ) -> Run:
        """Let `chains` chains hop `length` times each; `tenth` asks for marks (see `uptime`).

        The rate is from the first emit to the last handler. Raises NotAvailable.
        """
        name = self.name()
        asked = {"run": name, "topic": topic, "chains": chains, "length": length, "tenth": tenth}
        used = cpu_s(self.pid)
        began: float = self.post("/bench/hops", asked)["at"]
        took_us = max(end["at"] for end in self.ends(name, chains, limit_s)) - began
        used = cpu_s(self.pid) - used
        count = chains * (length + 1)
        figures = {"hops/s": count / (took_us / 1e6), "cpu µs": used / count * 1e6}
        return Run(name, began, figures)
