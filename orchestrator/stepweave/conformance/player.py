"""Playing a scenario: its script against one child, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import msgpack

from stepweave.conformance import driver, patterns, scenario, wire
from stepweave.conformance.fixtures import Project
from stepweave.conformance.match import Mismatch, compare

__all__ = ["Failed", "Player", "Restart"]

_OWN_IDS = 4_000_000_000
"""Ids of the kit's own requests begin here; scripts use small ones."""


class Failed(Exception):
    """The runner did something else than the script expects."""


class Restart(Exception):
    """The script wants a new process before it goes on with `rest`."""

    def __init__(self, rest: tuple[scenario.Act, ...]) -> None:
        super().__init__()
        self.rest = rest


class Player:
    """One child with what has been agreed with it: its handshake, loaded steps, project."""

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
        self._limit_s = limit_s
        self._next_id = _OWN_IDS
        self._allowed: list[Any] = []

    @property
    def capabilities(self) -> frozenset[str]:
        """What the runner claims."""
        return frozenset(name for name, has in self.hello.get("capabilities", {}).items() if has)

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
        self.loaded.clear()
        await self.shake_hands({})

    async def play(self, acts: tuple[scenario.Act, ...], scope: patterns.Scope) -> None:
        """Do the acts in order. Raises Failed at the first that goes wrong."""
        self._allowed = []
        for position, act in enumerate(acts):
            try:
                if act.verb == "restart_if":
                    if patterns.build(act.argument, scope):
                        raise Restart(acts[position + 1 :])
                    continue
                await getattr(self, f"_do_{act.verb}")(act.argument, scope)
            except (Failed, Mismatch, driver.Gone, driver.Silent, wire.Broken, ValueError) as error:
                raise Failed(f"line {position + 1} ({act.verb}): {error}") from error

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

    async def _do_send(self, frame: Any, scope: patterns.Scope) -> None:
        await self._send([self._frame(frame, scope)])

    async def _do_send_together(self, frames: Any, scope: patterns.Scope) -> None:
        await self._send([self._frame(frame, scope) for frame in frames])

    async def _do_send_bytewise(self, frame: Any, scope: patterns.Scope) -> None:
        await self._send([self._frame(frame, scope)], bytewise=True)

    async def _do_send_raw(self, data: Any, scope: patterns.Scope) -> None:
        """Bytes in hex as they are, or `frame`: the bytes with a right length before them."""
        framed = isinstance(data, dict)
        raw = bytes.fromhex(patterns.build(data["frame"] if framed else data, scope))
        await self._write(len(raw).to_bytes(4, "big") + raw if framed else raw)

    async def _do_send_oversized(self, frame: Any, scope: patterns.Scope) -> None:
        """The frame with a field `padding` that makes it longer than the runner accepts."""
        value = self._frame(frame, scope)
        room = int(self.hello["max_frame"])
        value[-1]["padding"] = bytes(room)
        body: bytes = msgpack.packb(value)
        await self._write(len(body).to_bytes(4, "big") + body)

    async def _do_expect(self, pattern: Any, scope: patterns.Scope) -> None:
        await self._expect([pattern], scope)

    async def _do_expect_all(self, expected: Any, scope: patterns.Scope) -> None:
        await self._expect(list(expected), scope)

    async def _do_allow(self, pattern: Any, scope: patterns.Scope) -> None:
        self._allowed.append((pattern, scope))

    async def _do_hold(self, what: Any, scope: patterns.Scope) -> None:
        if what not in ("reading", "nothing"):
            raise ValueError("hold takes reading or nothing")
        self.child.hold(what == "reading")

    async def _do_pause(self, milliseconds: Any, scope: patterns.Scope) -> None:
        await anyio.sleep(milliseconds / 1000)

    async def _do_close(self, what: Any, scope: patterns.Scope) -> None:
        if what != "stdin":
            raise ValueError("close takes stdin")
        await self.child.close_stdin()

    async def _do_exit(self, code: Any, scope: patterns.Scope) -> None:
        found = await self.child.exit_code(self._limit_s)
        compare(code, found, scope)

    async def _do_stderr(self, text: Any, scope: patterns.Scope) -> None:
        await self.child.wait_for_stderr(str(patterns.build(text, scope)), self._limit_s)

    async def _do_replace(self, names: Any, scope: patterns.Scope) -> None:
        for name, source in names.items():
            self.project.replace(name, source)

    async def _expect(self, expected: list[Any], scope: patterns.Scope) -> None:
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

    async def _next(self) -> Any:
        """The next frame that is one of the three shapes; pings are answered here."""
        while True:
            frame = await self.child.receive(self._limit_s)
            if not isinstance(frame, list) or not _shapely(frame):
                raise Failed(
                    f"the runner sent none of the three shapes (SPEC 3.1): {wire.show(frame)}"
                )
            if frame[0] == 0 and frame[2] == "ping":
                await self._send([[1, frame[1], None, {}]])
                continue
            return frame

    def _is_allowed(self, frame: Any) -> bool:
        """Whether the scenario tolerates the frame; records always are."""
        if frame[0] == 2:
            return True
        for pattern, scope in self._allowed:
            try:
                compare(pattern, frame, scope.copy())
            except Mismatch:
                continue
            return True
        return False

    def _frame(self, pattern: Any, scope: patterns.Scope) -> list[Any]:
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
            await self._send([[0, self._next_id, method, dict(params)]])
        except driver.Gone as error:
            raise Failed(f"{method} could not be sent: {error}") from error
        return self._next_id

    async def _send(self, frames: list[Any], bytewise: bool = False) -> None:
        with anyio.move_on_after(self._limit_s) as limit:
            await self.child.send(*frames, bytewise=bytewise)
        if limit.cancelled_caught:
            raise driver.Silent(f"the runner took no bytes for {self._limit_s:g} s")

    async def _write(self, data: bytes) -> None:
        with anyio.move_on_after(self._limit_s) as limit:
            await self.child.send_raw(data)
        if limit.cancelled_caught:
            raise driver.Silent(f"the runner took no bytes for {self._limit_s:g} s")


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
