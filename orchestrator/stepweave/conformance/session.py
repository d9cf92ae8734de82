"""Talking with one runner: its handshake, its loaded steps, and frames in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from stepweave.conformance import driver, patterns, scenario, wire
from stepweave.conformance.fixtures import Project
from stepweave.conformance.match import Mismatch, compare

__all__ = ["Failed", "Session"]

_OWN_IDS = 4_000_000_000
"""Ids of the kit's own requests begin here; scripts use small ones."""


class Failed(Exception):
    """The runner did something else than the script expects."""


class Session:
    """One child with what has been agreed with it, and the project that it works in."""

    def __init__(
        self,
        child: driver.Child,
        project: Project,
        defaults: scenario.Defaults,
        limit_s: float,
    ) -> None:
        self.child = child
        self.project = project
        self.loaded: set[str] = set()
        self.hello: Mapping[str, Any] = {}
        self._defaults = defaults
        self.limit_s = limit_s
        self._next_id = _OWN_IDS
        self._told = 0
        self.allowed: list[Any] = []
        """Patterns, with their scopes, of frames that the running script tolerates."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What the runner claims."""
        return frozenset(name for name, has in self.hello.get("capabilities", {}).items() if has)

    def begin(self) -> None:
        """Forget what earlier scripts tolerated and what they left on stderr."""
        self.allowed = []
        self._told = len(self.child.stderr)

    @property
    def stderr(self) -> str:
        """What the runner has written to stderr since the script began."""
        return self.child.stderr[self._told :]

    async def shake_hands(self, different: Mapping[str, Any]) -> None:
        """Send initialize and keep the answer. Raises Failed if it is not one."""
        params = {**self._defaults.initialize, "root": str(self.project.root), **different}
        answer = await self._ask("initialize", params)
        for name in ("protocol", "runner", "extensions", "max_frame", "window", "capabilities"):
            if not isinstance(answer, dict) or name not in answer:
                raise Failed(f"the answer to initialize lacks {name}: {wire.show(answer)}")
        self.hello = answer

    async def load(self, step: str) -> None:
        """Load a fixture under its own name as revision 1. Raises Failed if that does not work."""
        if step in self.loaded:
            return
        await self._ask("load", {"step": step, "path": self.project.path(step), "revision": 1})
        self.loaded.add(step)

    async def restart(self, child: driver.Child) -> None:
        """Go on with a new process in the same project, shaken hands with as usual."""
        await self.child.kill()
        self.child = child
        self._told = 0
        self.loaded.clear()
        await self.shake_hands({})

    async def quiet(self) -> None:
        """Prove with a ping that the runner has nothing more to say. Raises Failed if it has."""
        if self.child.ended or not self.hello:
            return
        number = await self._request("ping", {})
        try:
            while True:
                frame = await self._next()
                if frame[:2] == [1, number]:
                    return
                if not self._is_allowed(frame):
                    raise Failed(f"after the script: an unexpected frame {wire.show(frame)}")
        except (driver.Gone, driver.Silent, wire.Broken) as error:
            raise Failed(f"after the script: {error}") from error

    def frame(self, pattern: Any, scope: patterns.Scope) -> list[Any]:
        """The frame to send, with the usual values for what the scenario leaves out."""
        if isinstance(pattern, list) and pattern[0] == 0 and isinstance(pattern[3], dict):
            kind, number, method, params = pattern
            if method == "initialize":
                params = {**self._defaults.initialize, "root": str(self.project.root), **params}
            else:
                params = {**self._defaults.params.get(method, {}), **params}
            if method == "invoke":
                usual = self._defaults.input.get(params["kind"], {})
                params = {**params, "input": {**usual, **params.get("input", {})}}
            pattern = [kind, number, method, params]
        frame: list[Any] = patterns.build(pattern, scope)
        return frame

    async def expect(self, expected: list[Any], scope: patterns.Scope) -> None:
        """Receive until every pattern has found its frame; in any order if there are several."""
        passed: list[Mismatch] = []
        while expected:
            try:
                frame = await self._next()
            except (driver.Silent, driver.Gone) as error:
                raise Failed(
                    f"{error}; expected {wire.show(expected[0])}{_near(passed)}"
                ) from error
            problems = self._take(frame, expected, scope)
            if not problems:
                continue
            closest = max(problems, key=lambda problem: problem.depth)
            if frame[0] == 2:
                passed.append(closest)
            elif not self._is_allowed(frame):
                if all(pattern[0] == 2 for pattern in expected):
                    wanted = wire.show(expected[0])
                    raise Failed(f"{wire.show(frame)} came before {wanted}{_near(passed)}")
                raise Failed(f"{closest}; the frame is {wire.show(frame)}")

    def _take(self, frame: Any, expected: list[Any], scope: patterns.Scope) -> list[Mismatch]:
        """Strike out the first pattern that fits the frame, or say how each differs from it."""
        problems = []
        for pattern in expected:
            trial = scope.copy()
            try:
                compare(pattern, frame, trial)
            except Mismatch as error:
                problems.append(error)
                continue
            scope.bound.update(trial.bound)
            expected.remove(pattern)
            return []
        return problems

    async def send(self, frames: list[Any], bytewise: bool = False) -> None:
        with anyio.move_on_after(self.limit_s) as limit:
            await self.child.send(*frames, bytewise=bytewise)
        if limit.cancelled_caught:
            raise driver.Silent(f"the runner took no bytes for {self.limit_s:g} s")

    async def write(self, data: bytes) -> None:
        with anyio.move_on_after(self.limit_s) as limit:
            await self.child.send_raw(data)
        if limit.cancelled_caught:
            raise driver.Silent(f"the runner took no bytes for {self.limit_s:g} s")

    async def _next(self) -> Any:
        """The next frame that is one of the three shapes; pings are answered here."""
        while True:
            frame = await self.child.receive(self.limit_s)
            if not isinstance(frame, list) or not _shapely(frame):
                raise Failed(
                    f"the runner sent none of the three shapes (SPEC 3.1): {wire.show(frame)}"
                )
            if frame[0] == 0 and frame[2] == "ping":
                await self.send([[1, frame[1], None, {}]])
                continue
            return frame

    def _is_allowed(self, frame: Any) -> bool:
        """Whether the scenario tolerates the frame; records always are."""
        if frame[0] == 2:
            return True
        for pattern, scope in self.allowed:
            try:
                compare(pattern, frame, scope.copy())
            except Mismatch:
                continue
            return True
        return False

    async def _ask(self, method: str, params: Mapping[str, Any]) -> Any:
        number = await self._request(method, params)
        try:
            while True:
                frame = await self._next()
                if frame[:2] == [1, number]:
                    if frame[2] is not None:
                        raise Failed(f"{method} was refused: {wire.show(frame[2])}")
                    return frame[3]
                if frame[0] != 2:
                    raise Failed(f"expected the answer to {method}, got {wire.show(frame)}")
        except (driver.Gone, driver.Silent, wire.Broken) as error:
            raise Failed(f"{method} was not answered: {error}") from error

    async def _request(self, method: str, params: Mapping[str, Any]) -> int:
        self._next_id += 1
        try:
            await self.send([[0, self._next_id, method, dict(params)]])
        except driver.Gone as error:
            raise Failed(f"{method} could not be sent: {error}") from error
        return self._next_id


def _shapely(frame: list[Any]) -> bool:
    if len(frame) == 4 and frame[0] == 0:
        return (
            isinstance(frame[1], int) and isinstance(frame[2], str) and isinstance(frame[3], dict)
        )
    if len(frame) == 4 and frame[0] == 1:
        return isinstance(frame[1], int) and (
            frame[2] is None or (isinstance(frame[2], dict) and frame[3] is None)
        )
    return (
        len(frame) == 3
        and frame[0] == 2
        and isinstance(frame[1], str)
        and isinstance(frame[2], dict)
    )


def _near(passed: list[Mismatch]) -> str:
    """The record that came closest, for the message."""
    if not passed:
        return ""
    closest = max(passed, key=lambda problem: problem.depth)
    return f"; {len(passed)} records were passed over, in the closest {closest}"
