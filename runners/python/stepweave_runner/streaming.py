"""Answers in parts: a body that is a generator or iterator, sent as fast as its client reads."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from stepweave_runner import values
from stepweave_runner.errors import InvalidPayload, StepweaveError
from stepweave_runner.handlers import in_thread
from stepweave_runner.pending import nothing
from stepweave_runner.scope import Scope
from stepweave_runner.threads import Threads

__all__ = ["Streamed", "is_stream", "send"]

_END = object()
_MOST = 1 << 20
"""Bytes of one write; a longer part is sent in several."""


class Streamed:
    """A response whose body is still to be made."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, Any], body: Any) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def is_stream(body: Any) -> bool:
    """Whether a body gives its parts one by one: an (async) generator or iterator, a file."""
    kind = type(body)
    return hasattr(kind, "__aiter__") or hasattr(kind, "__next__")


async def send(streamed: Streamed, scope: Scope, threads: Threads) -> None:
    """Send a response; whatever happens, its body is closed.

    An iterator without async runs in threads. Raises what the body raises, InvalidPayload for a
    part without a form, and StepweaveError when the orchestrator refuses the head.
    """
    body = streamed.body
    try:
        head = {"status": streamed.status, "headers": streamed.headers}
        begun = await scope.request("response.start", head, nothing)
        if begun.get("wanted", True):
            async for part in _parts(body, threads):
                data = _encoded(part)
                for start in range(0, len(data), _MOST):
                    piece = data[start : start + _MOST]
                    await scope.request("response.write", {"data": piece}, nothing)
    finally:
        await _close(body, threads)


def _parts(body: Any, threads: Threads) -> AsyncIterator[Any]:
    if hasattr(type(body), "__aiter__"):
        parts: AsyncIterator[Any] = body.__aiter__()
        return parts
    return _from_thread(body, threads)


async def _from_thread(body: Any, threads: Threads) -> AsyncIterator[Any]:
    while (part := await in_thread(threads, next, body, _END)) is not _END:
        yield part


async def _close(body: Any, threads: Threads) -> None:
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()
        return
    close = getattr(body, "close", None)
    if close is not None:
        # A generator that runs in its thread is interrupted there and needs no other end.
        with contextlib.suppress(ValueError):
            close()


def _encoded(part: Any) -> bytes:
    if isinstance(part, str):
        return part.encode("utf-8", "backslashreplace")
    if isinstance(part, (bytes, bytearray, memoryview)):
        return bytes(part)
    try:
        data: bytes = values.encode_json(part)[1]
    except InvalidPayload as error:
        raise StepweaveError(error.code, f"a part of the response: {error}") from None
    return data + b"\n"
