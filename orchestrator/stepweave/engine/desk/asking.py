"""Awaiting what answers through a `done` callback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stepweave.engine.store.contract import Done
from stepweave.errors import StepweaveError

__all__ = ["ask"]


async def ask(question: Callable[[Done], object]) -> Any:
    """Call `question` with a `done`, and return its result or raise its error."""
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(error: StepweaveError | None, result: Any) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)

    question(done)
    return await answer
