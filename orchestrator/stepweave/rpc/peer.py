"""One end of a pipe: requests, responses and notifications over frames, with no task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from stepweave.errors import ProtocolError, RemoteError, RunnerGone, TooLarge
from stepweave.rpc import frame

__all__ = ["Answer", "Peer", "RequestHandler"]

Answer = Callable[[Any, Any], None]
"""Called once with (error, result): the error map (or an exception when the pipe broke) or None."""

RequestHandler = Callable[["Peer", int, Mapping[str, Any]], None]
"""Serves a request of the other side; answers by `peer.respond` or `peer.refuse`, now or later."""

NotificationHandler = Callable[["Peer", Mapping[str, Any]], None]


_TOGETHER = 4
"""Frames of one write. More would save system calls and keep the other side waiting for work."""


class Peer:
    """Sends and receives the three shapes of SPEC 3 on behalf of one connection.

    The owner feeds it bytes (`feed`) and gives it a `write`. Frames that are sent during one
    turn of the event loop leave together, a few in each write. Nothing here waits: callers hand
    in callbacks, so a call costs two dictionary operations besides its encoding.
    """

    __slots__ = (
        "_decoder",
        "_flushing",
        "_loop",
        "_next_id",
        "_notifications",
        "_open",
        "_out",
        "_requests",
        "_write",
        "closed",
        "max_frame",
        "on_oversized",
    )

    def __init__(
        self,
        write: Callable[[bytes], None],
        requests: Mapping[str, RequestHandler],
        notifications: Mapping[str, NotificationHandler],
        *,
        max_frame: int = frame.MAX_FRAME,
        on_oversized: Callable[[frame.Oversized], None] | None = None,
    ) -> None:
        self._write = write
        self._requests = requests
        self._notifications = notifications
        self._decoder = frame.Decoder(max_frame)
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, Answer] = {}
        self._next_id = 0
        self._out: list[bytes] = []
        self._flushing = False
        self.max_frame = frame.MAX_FRAME
        """What the other side accepts, in bytes; set from its answer to initialize."""
        self.closed = False
        self.on_oversized = on_oversized

    @property
    def open_requests(self) -> int:
        """How many requests of ours wait for their answer."""
        return len(self._open)

    def request(self, method: str, params: Mapping[str, Any], answer: Answer) -> int:
        """Send a request and return its id; `answer` is called exactly once, never from here.

        Raises RunnerGone when the connection is closed, TooLarge when the frame would be
        over the other side's limit (nothing was sent in either case).
        """
        if self.closed:
            raise RunnerGone("the runner's connection is closed")
        self._next_id = request_id = (self._next_id + 1) & 0xFFFFFFFF
        data = frame.pack((0, request_id, method, params))
        self._check(data, method)
        self._open[request_id] = answer
        self._send(data)
        return request_id

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Send a request and wait for its result. Raises RemoteError or RunnerGone."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def answer(error: Any, result: Any) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            elif isinstance(error, BaseException):
                future.set_exception(error)
            else:
                future.set_exception(RemoteError(error))

        self.request(method, params, answer)
        return await future

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification; dropped when the connection is closed."""
        if not self.closed:
            self._send(frame.pack((2, method, params)))

    def respond(self, request_id: int, result: Any) -> None:
        """Answer a request of the other side with its result."""
        if self.closed:
            return
        data = frame.pack((1, request_id, None, result))
        if len(data) - 4 > self.max_frame:
            self.refuse(request_id, "too_large", self._over(len(data) - 4, "the result"))
            return
        self._send(data)

    def refuse(self, request_id: int, code: str, message: str, **more: Any) -> None:
        """Answer a request of the other side with an error."""
        if not self.closed:
            error = {"code": code, "message": message, **more}
            self._send(frame.pack((1, request_id, error, None)))

    def feed(self, data: bytes) -> None:
        """Take bytes from the other side and serve what they complete.

        Raises ProtocolError when the other side broke the protocol; the owner closes then.
        """
        for value in self._decoder.feed(data):
            if type(value) is not tuple:
                self._unusual(value)
                continue
            size = len(value)
            if size == 4 and value[0] == 1:
                answer = self._open.pop(value[1], None) if type(value[1]) is int else None
                if answer is None:
                    text = "an answer to a request that is not open"
                    raise ProtocolError(text, frame.show(value))
                error = value[2]
                if error is not None and type(error) is not dict:
                    answer(
                        {"code": "protocol_error", "message": f"an error is a map: {error!r}"}, None
                    )
                    raise ProtocolError("an error is a map", frame.show(value))
                answer(error, value[3])
            elif size == 4 and value[0] == 0 and type(value[3]) is dict:
                self._serve(value)
            elif size == 3 and value[0] == 2 and type(value[2]) is dict:
                handler = self._notifications.get(value[1])
                if handler is not None:
                    handler(self, value[2])
            else:
                raise ProtocolError(
                    "a frame is [0, id, method, params], [1, id, error, result] "
                    "or [2, method, params]",
                    frame.show(value),
                )
        if astray := self._decoder.astray:
            # The next frame would be looked for gigabytes later.
            raise ProtocolError("what came is no frame", frame.show(astray))

    def close(self, error: BaseException) -> None:
        """End the connection: every open request is answered with `error`."""
        if self.closed:
            return
        self.closed = True
        waiting, self._open = self._open, {}
        self._out.clear()
        for answer in waiting.values():
            answer(error, None)

    def flush(self) -> None:
        """Write what was sent so far."""
        out = self._out
        if out and not self.closed:
            self._out = []
            self._write(out[0] if len(out) == 1 else b"".join(out))

    def _unusual(self, value: Any) -> None:
        if isinstance(value, frame.Oversized):
            if self.on_oversized is not None:
                self.on_oversized(value)
            return
        if isinstance(value, ProtocolError):
            raise value
        raise ProtocolError("a frame is an array of 3 or 4 values", frame.show(value))

    def _turn(self) -> None:
        self._flushing = False
        self.flush()

    def _serve(self, value: tuple[Any, ...]) -> None:
        _, request_id, method, params = value
        handler = self._requests.get(method) if type(method) is str else None
        if type(request_id) is not int or not 0 <= request_id <= 0xFFFFFFFF:
            raise ProtocolError("a request id is an integer from 0 to 2^32-1", frame.show(value))
        if handler is None:
            self.refuse(request_id, "unknown_method", f"there is no method {method!r}")
            return
        handler(self, request_id, params)

    def _send(self, data: bytes) -> None:
        out = self._out
        out.append(data)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._turn)
        elif len(out) >= _TOGETHER:
            self.flush()

    def _check(self, data: bytes, method: str) -> None:
        if len(data) - 4 > self.max_frame:
            raise TooLarge(self._over(len(data) - 4, method))

    def _over(self, size: int, what: str) -> str:
        return f"{what} needs a frame of {size} bytes, the runner accepts {self.max_frame}"
