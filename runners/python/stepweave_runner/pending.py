"""What a context call gives back while the orchestrator has not answered yet."""

from __future__ import annotations

import asyncio
import concurrent.futures
from _thread import get_ident
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stepweave_runner.errors import StepweaveError

if TYPE_CHECKING:
    from stepweave_runner.scope import Scope

    _Future = asyncio.Future[Any]
    _ThreadFuture = concurrent.futures.Future[Any]
else:
    _Future = asyncio.Future
    _ThreadFuture = concurrent.futures.Future

__all__ = ["Pending", "Read", "Waiter", "nothing"]

Read = Callable[[Any, Any], Any]
"""Makes the call's value of (error, result), the error being None or an error map. May raise."""


def nothing(error: Any, result: Any) -> Any:
    """The result as it is. Raises the error that the orchestrator answered with."""
    if error is not None:
        raise StepweaveError.from_wire(error)
    return result


class Pending(_Future):
    """For code on the loop: the call has been sent; await it for its answer, or leave it.

    It is a future, and a coroutine as far as asyncio.create_task is concerned. Who makes it sets
    the three fields: that is quicker than a constructor, and there is one for each call.
    """

    method: str
    scope: Scope
    read: Read
    _steps: Any = None

    def settle(self, error: Any, result: Any) -> None:
        """Take the answer; what it gives or raises is seen where it is awaited."""
        if self.done():
            return
        try:
            value = self.read(error, result)
        except Exception as failure:
            self.set_exception(failure)
        else:
            self.set_result(value)

    def send(self, value: Any) -> Any:
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.throw(*error)

    def close(self) -> None:
        if self._steps is not None:
            self._steps.close()


class Waiter(_ThreadFuture):
    """For code in other threads: they block on `result()`, or await it in a loop of their own."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read = read
        self.thread = get_ident()
        """The thread that waits."""

    def settle(self, error: Any, result: Any) -> None:
        """Take the answer, unless the wait is over already."""
        try:
            value = self._read(error, result)
        except Exception as failure:
            self.give_up(failure)
            return
        try:
            self.set_result(value)
        except concurrent.futures.InvalidStateError:
            pass

    def give_up(self, error: BaseException) -> None:
        """End the wait with an error, unless it is over already."""
        try:
            self.set_exception(error)
        except concurrent.futures.InvalidStateError:
            pass
