"""Playing a script: each of its acts, line by line, in a session with a runner."""

from __future__ import annotations

from typing import Any

import anyio
import msgpack

from stepweave.conformance import driver, patterns, scenario, wire
from stepweave.conformance.match import Mismatch, compare
from stepweave.conformance.session import Failed, Session

__all__ = ["Player", "Restart"]


class Restart(Exception):
    """The script wants a new process before it goes on with `rest`."""

    def __init__(self, rest: tuple[scenario.Act, ...]) -> None:
        super().__init__()
        self.rest = rest


class Player:
    """Does the acts of one scenario; each verb is a method."""

    def __init__(self, session: Session, scope: patterns.Scope) -> None:
        self._session = session
        self._scope = scope

    async def play(self, acts: tuple[scenario.Act, ...]) -> None:
        """Do the acts in order. Raises Failed at the first that goes wrong."""
        for position, act in enumerate(acts):
            try:
                if act.verb == "restart_if":
                    if patterns.build(act.argument, self._scope):
                        raise Restart(acts[position + 1 :])
                    continue
                await getattr(self, f"_do_{act.verb}")(act.argument)
            except (Failed, Mismatch, driver.Gone, driver.Silent, wire.Broken, ValueError) as error:
                raise Failed(f"line {position + 1} ({act.verb}): {error}") from error

    async def _do_send(self, frame: Any) -> None:
        await self._session.send([self._session.frame(frame, self._scope)])

    async def _do_send_together(self, frames: Any) -> None:
        await self._session.send([self._session.frame(frame, self._scope) for frame in frames])

    async def _do_send_bytewise(self, frame: Any) -> None:
        await self._session.send([self._session.frame(frame, self._scope)], bytewise=True)

    async def _do_send_raw(self, data: Any) -> None:
        """Bytes in hex as they are, or `frame`: the bytes with a right length before them."""
        framed = isinstance(data, dict)
        raw = bytes.fromhex(patterns.build(data["frame"] if framed else data, self._scope))
        await self._session.write(len(raw).to_bytes(4, "big") + raw if framed else raw)

    async def _do_send_oversized(self, frame: Any) -> None:
        """The frame with a field `padding` that makes it longer than the runner accepts."""
        value = self._session.frame(frame, self._scope)
        room = int(self._session.hello["max_frame"])
        value[-1]["padding"] = bytes(room)
        body: bytes = msgpack.packb(value)
        await self._session.write(len(body).to_bytes(4, "big") + body)

    async def _do_expect(self, pattern: Any) -> None:
        await self._session.expect([pattern], self._scope)

    async def _do_expect_all(self, expected: Any) -> None:
        await self._session.expect(list(expected), self._scope)

    async def _do_allow(self, pattern: Any) -> None:
        self._session.allowed.append((pattern, self._scope))

    async def _do_hold(self, what: Any) -> None:
        if what not in ("reading", "nothing"):
            raise ValueError("hold takes reading or nothing")
        self._session.child.hold(what == "reading")

    async def _do_pause(self, milliseconds: Any) -> None:
        await anyio.sleep(milliseconds / 1000)

    async def _do_close(self, what: Any) -> None:
        if what != "stdin":
            raise ValueError("close takes stdin")
        await self._session.child.close_stdin()

    async def _do_exit(self, code: Any) -> None:
        found = await self._session.child.exit_code(self._session.limit_s)
        compare(code, found, self._scope)

    async def _do_stderr(self, text: Any) -> None:
        wanted = str(patterns.build(text, self._scope))
        await self._session.child.wait_for_stderr(wanted, self._session.limit_s)

    async def _do_replace(self, names: Any) -> None:
        for name, source in names.items():
            self._session.project.replace(name, source)
