"""One event or one run from outside of any step, as commands and tests ask for it."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from stepweave.calls import Call, Outcome
from stepweave.engine.bus import Bus
from stepweave.engine.invoker import Invoker
from stepweave.engine.store.contract import Store
from stepweave.errors import StepweaveError
from stepweave.payload import Payload
from stepweave.steps.model import Step
from stepweave.streamed import Streamed
from stepweave.trace import Span, format_traceparent, new_span_id, new_trace_id

__all__ = ["publish", "run"]


async def publish(bus: Bus, store: Store, topic: str, data: Payload | None, **more: Any) -> str:
    """Publish an event in a trace of its own; its id, once it survives a power cut."""
    durable: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def done(error: StepweaveError | None, event: Any) -> None:
        if error is not None:
            durable.set_exception(error)
        else:
            durable.set_result(event)

    trace = format_traceparent(new_trace_id(), new_span_id())
    bus.publish(topic, data, trace=trace, source="(outside)", done=done, **more)
    sequence = store.last_sequence
    event = await durable
    await store.sync(sequence)
    return event


async def run(
    invoker: Invoker, step: Step, kind: Literal["api", "event", "cron"], input: dict[str, Any]
) -> tuple[Call, Outcome]:
    """Run one step once, as a trace of its own; its emits are recorded as always."""
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[tuple[Call, Outcome]] = loop.create_future()
    data: Payload | None = input.get("body") if kind == "api" else input.get("data")
    span = Span(new_trace_id(), step.name, kind, step.language, input=data)
    gathering: list[asyncio.Task[bytes]] = []

    def done(call: Call, outcome: Outcome) -> None:
        if call.streamed is not None:
            call.streamed.end(outcome)
        finished.set_result((call, outcome))

    def take(streamed: Streamed) -> None:
        call.streamed = streamed
        gathering.append(loop.create_task(streamed.whole()))

    call = invoker.invoke(step, kind, input, span, done)
    call.taker = take if kind == "api" else None
    _, outcome = await finished
    if gathering and outcome.status == "ok":
        outcome = outcome._replace(result=await _joined(call, gathering[0]))
    return call, outcome


async def _joined(call: Call, parts: asyncio.Task[bytes]) -> dict[str, Any]:
    """An answer in parts as one that was given as a whole."""
    assert call.streamed is not None
    body = await parts
    try:
        body.decode()
    except UnicodeDecodeError:
        form = "bytes"
    else:
        form = "text"
    status, headers = call.streamed.status, call.streamed.headers
    return {"status": status, "headers": headers, "body": (form, body)}
