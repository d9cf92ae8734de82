"""Who may follow what: `streamAuth` for each client, `canAccess` for each subscription."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import orjson

from stepweave import payload
from stepweave.engine.live.follower import Key
from stepweave.errors import RemoteError, RunnerGone, StepweaveError
from stepweave.payload import Payload
from stepweave.steps.model import Stream

__all__ = ["ANONYMOUS", "Access", "Authenticator", "Denied", "Guards", "Unauthenticated"]

ANONYMOUS = b"null"
"""What a client is known as when nobody asks who it is, as JSON."""

_OVERTAKEN = frozenset({"shutting_down", "cancelled", "unknown_step", "not_initialized"})


class Guards(Protocol):
    """Runs a function of the project that guards something."""

    async def authorize(
        self, handle: str, language: str, kind: Literal["canAccess", "streamAuth"], input: Payload
    ) -> Payload | None: ...


class Authenticator(Protocol):
    """The project's file with `streamAuth`."""

    @property
    def place(self) -> tuple[str, str] | None:
        """Handle and language, or None when there is none. Raises Unauthenticated if broken."""
        ...


class Unauthenticated(Exception):
    """A client is not let in; `status` is the answer to its request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Denied(Exception):
    """A client may not follow this; the text is for it."""


class Access:
    """Asks the project's own functions. What fails, or takes too long, is a no."""

    def __init__(
        self,
        guards: Guards,
        authenticator: Authenticator,
        streams: Callable[[], Mapping[str, Stream]],
        notice: Callable[[str, str], None],
        timeout_s: float,
    ) -> None:
        self._guards = guards
        self._authenticator = authenticator
        self._streams = streams
        self._notice = notice
        self._timeout_s = timeout_s

    def stream(self, name: str) -> Stream | None:
        """The stream of that name."""
        return self._streams().get(name)

    async def identify(self, headers: Mapping[str, Any], url: str) -> bytes:
        """Who a client is, as JSON; `null` for an anonymous one. Raises Unauthenticated."""
        place = self._authenticator.place
        if place is None:
            return ANONYMOUS
        request = payload.encode({"headers": headers, "url": url})
        try:
            found = await self._ask(*place, "streamAuth", request)
            return ANONYMOUS if found is None else payload.as_json(found)
        except RemoteError as error:
            self._notice("info", f"{place[0]}: a client was turned away: {error}")
            raise Unauthenticated(401, "Authentication failed") from error
        except (StepweaveError, TimeoutError) as error:
            why = str(error) or f"no answer within {self._timeout_s:g} s"
            self._notice("error", f"{place[0]}: streamAuth could not be asked: {why}")
            text = "Who you are cannot be checked now"
            raise Unauthenticated(503, text) from error

    async def check(self, stream: Stream, key: Key, auth: bytes) -> None:
        """Ask the stream whether a client may follow this. Raises Denied."""
        if not stream.has_access_check:
            return
        _, group, id = key
        asked = {"streamName": stream.name, "groupId": group}
        if id is not None:
            asked["id"] = id
        question = b'{"subscription":%b,"auth":%b}' % (orjson.dumps(asked), auth)
        try:
            answer = await self._ask(
                stream.relpath, stream.language, "canAccess", ("json", question)
            )
            allowed = payload.decode(answer) is True
        except (StepweaveError, TimeoutError) as error:
            why = str(error) or f"no answer within {self._timeout_s:g} s"
            self._notice("error", f"{stream.relpath}: canAccess failed, so nobody gets in: {why}")
            raise Denied("Access denied") from error
        if not allowed:
            raise Denied("Access denied")

    async def _ask(
        self, handle: str, language: str, kind: Literal["canAccess", "streamAuth"], input: Payload
    ) -> Payload | None:
        async with asyncio.timeout(self._timeout_s):
            try:
                return await self._guards.authorize(handle, language, kind, input)
            except RunnerGone:
                pass
            except RemoteError as error:
                if error.remote_code not in _OVERTAKEN:
                    raise
            # The child that was asked has been replaced, by a reload perhaps.
            return await self._guards.authorize(handle, language, kind, input)
