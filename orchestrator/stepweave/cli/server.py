"""Running a project until a signal ends it: the common part of `dev` and `start`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import stepweave
from stepweave.cli import options, presence
from stepweave.cli.banner import Facts, banner
from stepweave.cli.changes import changes
from stepweave.console import Console
from stepweave.logs import Level, LogHub
from stepweave.project import Project
from stepweave.steps.registry import Registry

if TYPE_CHECKING:
    from stepweave.orchestrator import Orchestrator

__all__ = ["serve"]

_LEVELS: dict[str, Level] = {"error": "error", "warning": "warn", "info": "info"}


def serve(args: argparse.Namespace, mode: Literal["dev", "start"]) -> int:
    """Open the project, say that it is ready, and serve until SIGINT or SIGTERM."""
    project = options.open_project(args.folder)
    with options.console(args, project) as console:
        return options.run_loop(lambda: _Run(args, mode, project, console).run())


class _Run:
    """One run of a server and what it says on the console."""

    def __init__(
        self,
        args: argparse.Namespace,
        mode: Literal["dev", "start"],
        project: Project,
        console: Console,
    ) -> None:
        self.args = args
        self.mode: Literal["dev", "start"] = mode
        self.project = project
        self.console = console
        self.hub = LogHub(console)
        self.registry = Registry()
        self.began = time.monotonic()

    async def run(self) -> int:
        from stepweave import serving
        from stepweave.orchestrator import Orchestrator

        server = self.project.settings.server
        host = self.args.host or server.host
        port = server.port if self.args.port is None else self.args.port
        with contextlib.closing(serving.bind(host, port, search=self.mode == "dev")) as listener:
            bound = listener.getsockname()[1]
            notes = [f"port {port} is in use, so this is {bound}"] if port not in (0, bound) else []
            async with Orchestrator(self.project, self.mode, self.hub) as orchestrator:
                with self._signals(orchestrator):
                    orchestrator.on_reload = self._reloaded
                    try:
                        await orchestrator.serve(
                            listener, lambda url: self._ready(orchestrator, url, notes)
                        )
                    finally:
                        presence.withdraw(self.project.storage)
        return 0

    def _ready(self, orchestrator: Orchestrator, url: str, notes: list[str]) -> None:
        self.registry = orchestrator.registry
        presence.announce(self.project.storage, url, orchestrator.key)
        if self.args.json_logs:
            self.hub.log("info", "ready", url=url, steps=len(self.registry.steps))
            self._log_problems(Registry(), self.registry)
            return
        runners = {}
        for name, manifest in orchestrator.pools.manifests.items():
            pool = orchestrator.pools.pools.get(name)
            reason = orchestrator.pools.unavailable.get(name)
            version = pool.info.get("language_version", "") if pool else ""
            for language in manifest.languages:
                runners[language] = (name, str(version) if pool else reason or "not started")
        jobs = orchestrator.cron.statistics()
        facts = Facts(
            stepweave.__version__,
            self.project.name,
            "development" if self.mode == "dev" else "production",
            url,
            f"{url}/_stepweave/" if self.mode == "dev" else None,
            self.registry,
            runners,
            {item["step"]: item["next"] for item in jobs},
            time.time_ns() // 1_000_000,
            time.monotonic() - self.began,
            notes,
            {item["step"] for item in jobs if item["paused"]},
        )
        self.console.write(banner(facts, self.console.paint))

    def _reloaded(self, registry: Registry) -> None:
        old, self.registry = self.registry, registry
        if self.args.json_logs:
            self._log_problems(old, registry)
        else:
            self.console.write(changes(old, registry, self.console.paint))

    def _log_problems(self, old: Registry, new: Registry) -> None:
        """For those who collect the log: problems as records."""
        known = set(old.all_problems)
        for problem in new.all_problems:
            if problem not in known and problem.severity != "info":
                self.hub.log(_LEVELS[problem.severity], str(problem), code=problem.code)

    @contextlib.contextmanager
    def _signals(self, orchestrator: Orchestrator) -> Iterator[None]:
        """The first signal lets running work finish; the second ends everything at once."""
        loop = asyncio.get_running_loop()
        grace_s = self.project.settings.shutdown.grace_s
        stopping = False

        def stop(name: str) -> None:
            nonlocal stopping
            if stopping:
                self.console.close(timeout_s=1.0)
                os._exit(130)  # the children see the end of their pipes and leave as well
            stopping = True
            self.hub.log(
                "info",
                f"{name}: stopping; running work may take {grace_s:g} s, "
                "what is left is delivered after the restart",
            )
            orchestrator.stop()

        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for each in signals:
            loop.add_signal_handler(each, stop, each.name)
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)
