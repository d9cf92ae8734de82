"""The conformance kit: a command, the fixtures of its language, and every scenario in turn."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgpack

from stepweave.conformance import driver, patterns, scenario
from stepweave.conformance.fixtures import Fixtures
from stepweave.conformance.player import Player, Restart
from stepweave.conformance.report import Report, Result, Status
from stepweave.conformance.session import Failed, Session

__all__ = ["Command", "Kit"]


@dataclass(frozen=True, slots=True)
class Command:
    """The runner under test: its argument list and the fixtures written in its language.

    `limit_s` is how long one expectation may take.
    """

    argv: Sequence[str]
    fixtures: Fixtures
    limit_s: float = 10.0


class Kit:
    """Plays scenarios one after the other, on one child as long as they leave it usable."""

    def __init__(self, command: Command, report: Report, trace: bool = False) -> None:
        self._command = command
        self._report = report
        self._trace: driver.Trace | None = report.tracer() if trace else None
        self._defaults = scenario.defaults()
        self._shared: Session | None = None
        self._capabilities: frozenset[str] = frozenset()
        self._sessions: set[Session] = set()
        self._projects = 0

    async def run(self, scenarios: Sequence[scenario.Scenario]) -> None:
        """Play the scenarios and report each; a runner that does not get ready is reported once."""
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                self._folder = Path(folder)
                try:
                    await self._play_all(scenarios)
                finally:
                    with anyio.CancelScope(shield=True):
                        for session in list(self._sessions):
                            await self._discard(session)

    async def _play_all(self, scenarios: Sequence[scenario.Scenario]) -> None:
        try:
            self._shared = await self._start({})
            self._capabilities = self._shared.capabilities
        except _NotReady as error:
            self._report.dead(str(error), error.stderr, len(scenarios))
            return
        for item in scenarios:
            if self._trace:
                self._report.note(f"{item.name} (SPEC {item.spec})")
            self._report.add(await self._play(item))

    async def _play(self, item: scenario.Scenario) -> Result:
        for capability in item.needs:
            if capability not in self._capabilities:
                return Result(
                    item.name, item.spec, "skipped", f"the runner does not claim {capability}"
                )
        for name in sorted(item.fixtures):
            if self._command.fixtures.find(name) is None:
                needed = name in self._defaults.required
                status: Status = "failed" if needed else "skipped"
                return Result(item.name, item.spec, status, f"there is no fixture {name}")
        session: Session | None = None
        try:
            session = await self._session(item)
            await self._perform(item, session)
            await session.quiet()
        except _NotReady as error:
            await self._discard(session)
            return Result(item.name, item.spec, "failed", str(error), error.stderr)
        except Failed as error:
            assert session is not None
            stderr = session.stderr
            await self._discard(session)
            return Result(item.name, item.spec, "failed", str(error), stderr)
        if item.fresh or session.child.ended:
            await self._discard(session)
        return Result(item.name, item.spec, "passed")

    async def _perform(self, item: scenario.Scenario, session: Session) -> None:
        """Load the steps and play the script, on a new process from where it asks for one."""
        session.begin()
        for step in item.steps:
            await session.load(step)
        player = Player(session, patterns.Scope(session.project.path, item.row))
        acts = item.script
        while acts:
            try:
                await player.play(acts)
                return
            except Restart as again:
                acts = again.rest
                await session.restart(await self._spawn(session.project.root))

    async def _session(self, item: scenario.Scenario) -> Session:
        if item.fresh:
            return await self._start(item.handshake)
        if self._shared is None or self._shared.child.ended:
            self._shared = await self._start({})
        return self._shared

    async def _start(self, handshake: Mapping[str, Any] | None) -> Session:
        """A new child in a project of its own, shaken hands with unless the script does that."""
        self._projects += 1
        project = self._command.fixtures.project(self._folder / f"project-{self._projects}")
        child = await self._spawn(project.root)
        session = Session(child, project, self._defaults, self._command.limit_s)
        self._sessions.add(session)
        if handshake is not None:
            try:
                await session.shake_hands(handshake)
            except Failed as error:
                await self._discard(session)
                raise _NotReady(str(error), child.stderr) from error
        return session

    async def _spawn(self, root: Path) -> driver.Child:
        try:
            return await driver.Child.start(
                self._tasks,
                self._command.argv,
                self._environment(root),
                root,
                max_frame=int(self._defaults.initialize["max_frame"]),
                trace=self._trace,
            )
        except OSError as error:
            raise _NotReady(
                f"{self._command.argv[0]} cannot be started: {error.strerror}", ""
            ) from error

    def _environment(self, root: Path) -> dict[str, str]:
        """SPEC 5.1; the cache is one for all children, as it is in a project.

        A STEPWEAVE_MSGPACK that is set already stays, so that a runner's other codec can be proved.
        """
        return {
            "STEPWEAVE_MSGPACK": str(Path(msgpack.__file__).resolve().parents[1]),
            **os.environ,
            "STEPWEAVE_ROOT": str(root),
            "STEPWEAVE_CACHE": str(self._folder / "cache"),
        }

    async def _discard(self, session: Session | None) -> None:
        if session is not None:
            if session is self._shared:
                self._shared = None
            self._sessions.discard(session)
            await session.child.kill()


class _NotReady(Exception):
    def __init__(self, message: str, stderr: str) -> None:
        super().__init__(message)
        self.stderr = stderr
