"""A pool of scripted children, and calls whose outcomes can be awaited."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stepweave.calls import Call, Outcome
from stepweave.rpc.peer import RequestHandler
from stepweave.runners.launch import Launch
from stepweave.runners.options import PoolOptions
from stepweave.runners.pool import Pool
from stepweave.trace import Span, new_trace_id
from tests.unit.engine_kit import step

__all__ = ["ECHOED", "Bench"]

ECHOED = Outcome("ok", ("json", b"1"))
CHILD = Path(__file__).with_name("scripted_child.py")


class Quiet:
    """Services that only remember what was written to stderr."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def requests(self, calls: Mapping[int, Call]) -> Mapping[str, RequestHandler]:
        return {}

    def log(self, calls: Mapping[int, Call], params: Mapping[str, Any]) -> None:
        """Not looked at."""

    def stderr(self, runner: str, line: str) -> None:
        self.lines.append(line)


class Bench:
    """A pool of scripted children, and calls whose outcomes can be awaited."""

    def __init__(self, *args: str, **options: Any) -> None:
        self.services = Quiet()
        self.notices: list[str] = []
        launch = Launch(
            "scripted",
            [sys.executable, str(CHILD), *args],
            dict(os.environ),
            Path.cwd(),
            start_timeout_s=1.0 if "silent" in args else 30.0,
        )
        self.pool = Pool(
            launch,
            self.services,
            PoolOptions(**{"cancel_grace_s": 30.0, **options}),
            lambda level, message: self.notices.append(message),
        )

    def call(
        self, name: str, *, deadline: float | None = None, suspect: int = 0, priority: int = 0
    ) -> tuple[Call, asyncio.Future[Outcome]]:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        found = step(name)
        span = Span(new_trace_id(), name, "event", "python")
        call = Call(
            found,
            "event",
            {"data": ("json", b"1")},
            span,
            outcome.set_result,
            deadline=None if deadline is None else loop.time() + deadline,
        )
        call.suspect = suspect
        call.priority = priority
        self.pool.dispatch(call)
        return call, outcome

    async def outcome(self, name: str, **more: Any) -> Outcome:
        async with asyncio.timeout(60):
            return await self.call(name, **more)[1]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a function answers something true."""
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)
