"""A bus over a real store, with handlers that are functions of the test instead of processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stepweave import payload
from stepweave.calls import Call, Outcome
from stepweave.engine.bus import Bus, BusOptions
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.steps.model import (
    Backoff,
    Emit,
    Infrastructure,
    Kind,
    QueueOptions,
    Step,
)
from stepweave.steps.schema import Validator
from stepweave.trace import Span, format_traceparent, new_span_id, new_trace_id

Behaviour = Callable[[Call], Outcome | None]
"""What a handler does with a call; None means that the test finishes it later."""

OK = Outcome("ok")


def failed(message: str = "boom") -> Outcome:
    return Outcome("error", None, {"code": "handler_failed", "message": message})


LOST = Outcome("lost", None, {"code": "runner_gone", "message": "it was killed"})


def step(
    name: str,
    topics: Iterable[str] = ("a.b",),
    *,
    emits: Iterable[str] = (),
    input: Validator | None = None,
    **queue: Any,
) -> Step:
    options = {"backoff": Backoff(base_s=0.001, max_s=0.001), **queue}
    path = Path(f"/project/steps/{name}.step.py")
    return Step(
        name,
        Kind.EVENT,
        "python",
        path,
        f"steps/{name}.step.py",
        {},
        subscribes=tuple(topics),
        emits=tuple(Emit(topic) for topic in emits),
        input=input,
        infrastructure=Infrastructure(queue=QueueOptions(**options)),
    )


async def until(condition: Callable[[], Any]) -> None:
    """Wait until a function answers something true."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


class FakeRunners:
    """Ends each call as the test says, in a later turn of the loop."""

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.calls: list[Call] = []
        self.running = 0
        self.most = 0

    def dispatch(self, call: Call) -> None:
        self.calls.append(call)
        self.running += 1
        self.most = max(self.most, self.running)
        asyncio.get_running_loop().call_soon(self._run, call)

    def cancel(self, call: Call, reason: str) -> None:
        call.finish(Outcome("cancelled", None, {"code": "cancelled", "message": reason}))

    def _run(self, call: Call) -> None:
        outcome = self.behaviours.get(call.step.name, lambda _call: OK)(call)
        if outcome is not None:
            self.running -= 1
            call.finish(outcome)


class Spans:
    """Keeps the spans that began and those that ended."""

    def __init__(self) -> None:
        self.opened: list[Span] = []
        self.ended: list[Span] = []

    def open_span(self, span: Span) -> None:
        self.opened.append(span)

    def add_span(self, span: Span) -> None:
        self.ended.append(span)


class Rig:
    """Everything that a test of the bus touches."""

    def __init__(self, folder: Path, *steps: Step, **options: Any) -> None:
        self.store = SqliteStore(folder)
        self.runners = FakeRunners()
        self.spans = Spans()
        self.invoker = Invoker(self.runners, self.spans, self.store)
        self.notices: list[tuple[str, str]] = []
        self.bus = Bus(
            self.store,
            self.invoker,
            lambda level, message, call: self.notices.append((level, message)),
            BusOptions(**options),
        )
        self.bus.subscribe(steps)

    def handler(self, name: str, behaviour: Behaviour) -> None:
        self.runners.behaviours[name] = behaviour

    async def publish(self, topic: str = "a.b", data: Any = None, **more: Any) -> str:
        """Publish and wait until the event is durable; its id."""
        durable: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def done(error: Exception | None, event: Any) -> None:
            if error is not None:
                durable.set_exception(error)
            else:
                durable.set_result(event)

        trace = format_traceparent(new_trace_id(), new_span_id())
        body = payload.encode(data)
        self.bus.publish(topic, body, trace=trace, source="test", done=done, **more)
        return await durable

    async def settled(self) -> None:
        """Wait until nothing runs, waits or is delayed, and the store knows it."""
        async with asyncio.timeout(60):
            while self.bus.waiting:
                await asyncio.sleep(0.001)
        await self.store.apply(())

    def seen(self, name: str) -> list[Any]:
        """The data of the calls of a step, in the order in which they started."""
        calls = [call for call in self.runners.calls if call.step.name == name]
        return [payload.decode(call.input["data"]) for call in calls]

    async def close(self) -> None:
        self.bus.stop()
        await self.store.close()
