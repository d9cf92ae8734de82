"""When calls are over, and their child stuck."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from stepweave.runners.deadlines import Deadlines

pytestmark = pytest.mark.anyio


async def test_no_child_is_called_stuck_before_its_answers_have_been_read() -> None:
    cancelled = SimpleNamespace(cancelled_at=time.monotonic(), deadline=None, done=False)
    child: Any = SimpleNamespace(calls={1: cancelled})
    looks: list[Any] = []
    stuck: list[Any] = []

    def children() -> list[Any]:
        looks.append(child)
        if len(looks) > 1:
            child.calls.clear()  # the answer has been read
        return [child]

    deadlines = Deadlines(
        children,
        [],
        0.01,
        busy=lambda: False,
        drop=lambda call, reason: None,
        on_stuck=stuck.append,
    )
    deadlines.wake()
    time.sleep(0.7)  # noqa: ASYNC251  (what holds up the loop, such as a disk that stands still)
    async with asyncio.timeout(60):
        while not deadlines.asleep:
            await asyncio.sleep(0)
    assert len(looks) > 1 and stuck == []
