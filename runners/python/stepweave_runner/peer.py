"""The three shapes: requests, responses and notifications (SPEC 3), both ways."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stepweave_runner import frames
from stepweave_runner.codec import Codec
from stepweave_runner.connection import Connection
from stepweave_runner.errors import ProtocolError, StepweaveError, describe

__all__ = ["Answer", "Peer"]

Request = Callable[[int, dict[str, Any]], None]
Notification = Callable[[dict[str, Any]], None]

_BIGGEST_ID = (1 << 32) - 1
# Frames in the queue from which records of a level are dropped (SPEC 6.3).
_DROP_FROM = {"debug": 1_000, "info": 5_000, "warn": 20_000}
_LONGEST_MESSAGE = 64 * 1024


class Answer(Protocol):
    """Waits for the answer to a request."""

    def settle(self, error: Any, result: Any) -> None: ...


class Asker(Protocol):
    """On whose behalf requests go out; `queued` counts those that wait for the window.

    Once it is closed none of them goes out any more.
    """

    queued: int
    closed: bool

    def sent(self) -> None:
        """One of them has left."""


class Peer:
    """This side of the conversation. Everything belongs to the loop's thread, but `post` and `log`.

    Methods of the other side's requests get (id, params) and answer by `respond` or `refuse`,
    exactly once, now or later.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        codec: Codec,
        requests: Mapping[str, Request],
        notifications: Mapping[str, Notification],
    ) -> None:
        self.loop = loop
        self.window = 64
        self.max_frame = frames.MAX_FRAME
        self.streaming = False
        """Whether the other side takes answers in parts."""
        self._pack = codec.pack
        self._requests = requests
        self._notifications = notifications
        self._open: dict[int, Answer] = {}
        self._queue: deque[tuple[str, dict[str, Any], Answer, Asker]] = deque()
        self._next_id = 0
        self._dropped = 0
        self.connection: Connection

    def receive(self, value: Any) -> None:
        """Serve one frame. Raises ProtocolError for what is none of the shapes."""
        if type(value) is list:
            size = len(value)
            kind = value[0] if size else None
            if size == 4 and type(value[1]) is int and 0 <= value[1] <= _BIGGEST_ID:
                _, id, third, last = value
                if kind == 0 and type(third) is str and type(last) is dict:
                    try:
                        self._requests[third](id, last)
                    except Exception as error:
                        self._refuse(id, third, error)
                    return
                if kind == 1 and (third is None or type(third) is dict):
                    answer = self._open.pop(id, None)
                    if answer is not None:
                        if self._queue:
                            self._send_queued()
                        answer.settle(third, last)
                    return
            elif size == 3 and kind == 2 and type(value[1]) is str and type(value[2]) is dict:
                notification = self._notifications.get(value[1])
                if notification is not None:
                    notification(value[2])
                return
        elif type(value) is frames.Oversized:
            self._refuse_oversized(value)
            return
        raise ProtocolError("not a request, response or notification", frames.show(value))

    def request(self, method: str, params: dict[str, Any], answer: Answer, asker: Asker) -> None:
        """Send a request, or keep it until the other side's window has room."""
        if self._queue or len(self._open) >= self.window:
            asker.queued += 1
            self._queue.append((method, params, answer, asker))
        else:
            self._send_request(method, params, answer)

    def respond(self, id: int, result: Any) -> None:
        """Answer a request with its result."""
        try:
            body = self._pack([1, id, None, result])
        except (ValueError, OverflowError, TypeError) as error:
            message = f"the result cannot be written: {error}"
            self.refuse(id, {"code": "invalid_payload", "message": message})
            return
        if len(body) > self.max_frame:
            self.refuse(id, self._over(len(body), "the result").to_wire())
        else:
            self.connection.send(len(body).to_bytes(4, "big") + body)

    def refuse(self, id: int, error: dict[str, Any]) -> None:
        """Answer a request with an error map."""
        body = self._pack([1, id, _readable(error), None])
        if len(body) > self.max_frame:
            short = {"code": error["code"], "message": str(error["message"])[:1000]}
            body = self._pack([1, id, _readable(short), None])
        self.connection.send(frames.frame(body))

    def post(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function in the thread of the loop, in the order of this thread's posts."""
        self.connection.post(function, *args)

    def log(self, record: dict[str, Any]) -> None:
        """Send a log record, from any thread; `at` is filled in.

        When too many wait it is dropped, and a thread other than the loop's held up.
        """
        queued = self.connection.queued
        if queued > 1_000:
            # What waits is in the way of others' answers.
            self.connection.hold_up()
            if queued > _DROP_FROM.get(record["level"], queued):
                self._dropped += 1
                return
        record["at"] = time.time_ns() // 1_000_000
        if self._dropped:
            record["dropped"], self._dropped = self._dropped, 0
        try:
            body = self._pack([2, "log", record])
        except UnicodeEncodeError:
            body = self._pack([2, "log", _readable(record)])
        if len(body) > self.max_frame:
            record["message"] = f"{record['message'][:_LONGEST_MESSAGE]}… (cut: {len(body)} bytes)"
            record.pop("fields", None)
            body = self._pack([2, "log", _readable(record)])
        self.connection.post(self.connection.send, frames.frame(body))

    def _refuse(self, id: int, method: str, error: Exception) -> None:
        """Answer a request that no method serves, or whose method raised."""
        if method not in self._requests:
            message = f"the Python runner has no method {method!r:.80}"
            self.refuse(id, {"code": "unknown_method", "message": message})
        elif isinstance(error, StepweaveError):
            self.refuse(id, error.to_wire())
        else:
            self.refuse(id, describe(error, "internal", lambda file: False))

    def _send_request(self, method: str, params: dict[str, Any], answer: Answer) -> None:
        id = self._next_id
        while id in self._open:
            id = (id + 1) & _BIGGEST_ID
        self._next_id = (id + 1) & _BIGGEST_ID
        try:
            body = self._pack([0, id, method, params])
        except (ValueError, OverflowError, TypeError) as error:
            message = f"{method} cannot be written: {error}"
            answer.settle({"code": "invalid_params", "message": message}, None)
            return
        if len(body) > self.max_frame:
            answer.settle(self._over(len(body), method).to_wire(), None)
            return
        self._open[id] = answer
        self.connection.send(frames.frame(body))

    def _send_queued(self) -> None:
        while self._queue and len(self._open) < self.window:
            method, params, answer, asker = self._queue.popleft()
            if asker.closed:
                message = f"{method} was not sent: its handler has ended"
                answer.settle({"code": "cancelled", "message": message}, None)
            else:
                self._send_request(method, params, answer)
            asker.sent()

    def _refuse_oversized(self, skipped: frames.Oversized) -> None:
        message = f"a frame of {skipped.size} bytes is over this runner's limit"
        if skipped.request is None:
            self.log({"level": "error", "message": f"{message}; it was skipped"})
        else:
            self.refuse(skipped.request, {"code": "too_large", "message": message})

    def _over(self, size: int, what: str) -> StepweaveError:
        return StepweaveError(
            "too_large",
            f"{what} needs a frame of {size} bytes, the orchestrator takes {self.max_frame}",
        )


def _readable(value: Any) -> Any:
    """The value with half surrogates, which UTF-8 cannot hold, written as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value
