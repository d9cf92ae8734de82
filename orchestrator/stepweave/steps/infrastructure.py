"""The `infrastructure` block of a config: limits of the handler and of the queue before it."""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal

from stepweave.steps.model import (
    Backoff,
    Defaults,
    HandlerOptions,
    Infrastructure,
    Kind,
    QueueOptions,
)
from stepweave.steps.section import Section

__all__ = ["read"]

RAM_MB = (128, 10240)
TIMEOUT_S = (1, 900)
MAX_DELAY_S = 900
CPU_TOLERANCE = 0.1
# What a deployment gives: vCPUs by MB of memory, linear in between.
CPU_BY_RAM = (
    (128, 0.0625), (256, 0.125), (512, 0.25), (1024, 0.5), (1536, 0.75), (2048, 1.0), (3008, 1.5),
    (4096, 2.0), (5120, 2.5), (6144, 3.0), (7168, 3.5), (8192, 4.0), (9216, 4.5), (10240, 5.0),
)  # fmt: skip


def read(config: Section, kind: Kind, defaults: Defaults) -> Infrastructure:
    """The block with its defaults; what breaks a limit is noted as an error."""
    block = config.section("infrastructure")
    if block is None:
        return Infrastructure(defaults.handler(kind), defaults.queue)
    handler_block, queue_block = block.section("handler"), block.section("queue")
    if queue_block is not None and kind is not Kind.EVENT:
        block.note(
            "warning",
            "no_effect",
            "infrastructure.queue has no effect on this step",
            "queue",
            "only event steps have a queue; take it out",
        )
    handler = _handler(handler_block, defaults.handler(kind)) if handler_block else None
    queue = _queue(queue_block, handler_block, defaults.queue) if queue_block else None
    return Infrastructure(handler or defaults.handler(kind), queue or defaults.queue)


def _handler(block: Section, plain: HandlerOptions) -> HandlerOptions:
    ram = block.number("ram")
    cpu = block.number("cpu")
    timeout = block.number("timeout")
    if ram is not None and ram < RAM_MB[0]:
        _limit(block, "ram", f"RAM must be at least {RAM_MB[0]} MB")
    elif ram is not None and ram > RAM_MB[1]:
        _limit(block, "ram", f"RAM cannot exceed {RAM_MB[1]} MB")
    elif cpu is not None and ram is not None and abs(cpu - _cpu(ram)) > CPU_TOLERANCE:
        _limit(block, "cpu", f"CPU must be about {_cpu(ram):g} vCPU for {ram:g} MB of RAM")
    elif cpu is not None and cpu <= 0:
        _limit(block, "cpu", "CPU must be greater than 0")
    if timeout is not None and timeout < TIMEOUT_S[0]:
        _limit(block, "timeout", f"Timeout must be at least {TIMEOUT_S[0]}s")
    elif timeout is not None and timeout > TIMEOUT_S[1]:
        _limit(block, "timeout", f"Timeout cannot exceed {TIMEOUT_S[1]}s")
    return HandlerOptions(plain.timeout_s if timeout is None else float(timeout), ram, cpu)


def _queue(block: Section, handler: Section | None, plain: QueueOptions) -> QueueOptions:
    retries = block.number("maxRetries", whole=True)
    delay = block.number("delaySeconds")
    visibility = block.number("visibilityTimeout")
    concurrency = block.number("concurrency", whole=True)
    backoff = _backoff(block, plain.backoff)
    if retries is not None and retries < 0:
        _limit(block, "maxRetries", "maxRetries cannot be negative")
    if delay is not None and delay < 0:
        _limit(block, "delaySeconds", "delaySeconds cannot be negative")
    elif delay is not None and delay > MAX_DELAY_S:
        _limit(
            block, "delaySeconds", f"delaySeconds cannot exceed {MAX_DELAY_S} seconds (15 minutes)"
        )
    if concurrency is not None and concurrency < 1:
        _limit(block, "concurrency", "concurrency must be at least 1")
    timeout = handler.values.get("timeout") if handler else None
    if visibility is not None and visibility <= 0:
        _limit(block, "visibilityTimeout", "visibilityTimeout must be greater than 0")
    elif visibility is not None and isinstance(timeout, int | float) and visibility <= timeout:
        _limit(
            block,
            "visibilityTimeout",
            f"Visibility timeout ({visibility:g}s) must be greater than handler timeout "
            f"({timeout:g}s) to prevent premature message redelivery",
        )
    return QueueOptions(
        type=_queue_type(block),
        max_retries=plain.max_retries if retries is None else int(retries),
        visibility_timeout_s=900.0 if visibility is None else float(visibility),
        delay_s=0.0 if delay is None else float(delay),
        concurrency=None if concurrency is None else int(concurrency),
        backoff=backoff,
    )


def _queue_type(block: Section) -> Literal["standard", "fifo"]:
    value = block.text("type")
    if value == "fifo":
        return "fifo"
    if value not in (None, "standard"):
        message = f'{block.at("type")} is "{value}"'
        block.error("bad_value", message, "type", "write 'standard' or 'fifo'")
    return "standard"


def _backoff(queue: Section, plain: Backoff) -> Backoff:
    if isinstance(queue.values.get("backoff"), str):
        queue.values["backoff"] = {"type": queue.values["backoff"]}
    block = queue.section("backoff")
    if block is None:
        return plain
    kind = block.text("type")
    if kind not in (None, "exponential", "fixed"):
        message = f'{block.at("type")} is "{kind}"'
        block.error("bad_value", message, "type", "write 'exponential' or 'fixed'")
    base, longest = block.number("baseSeconds"), block.number("maxSeconds")
    factor, jitter = block.number("factor"), block.boolean("jitter")
    for key, value in (("baseSeconds", base), ("maxSeconds", longest)):
        if value is not None and value < 0:
            _limit(block, key, f"{key} cannot be negative")
    if factor is not None and factor < 1:
        _limit(block, "factor", "factor must be at least 1")
    return Backoff(
        type="fixed" if kind == "fixed" else "exponential",
        base_s=plain.base_s if base is None else float(base),
        max_s=max(plain.max_s, float(base or 0)) if longest is None else float(longest),
        factor=plain.factor if factor is None else float(factor),
        jitter=plain.jitter if jitter is None else jitter,
    )


def _limit(block: Section, key: str, message: str) -> None:
    block.error("out_of_limits", f"{block.at(key)}: {message}", key)


def _cpu(ram: float) -> float:
    """The vCPUs that belong to that much memory, which is within RAM_MB."""
    sizes = [size for size, _ in CPU_BY_RAM]
    index = max(1, bisect_left(sizes, ram))
    (low, low_cpu), (high, high_cpu) = CPU_BY_RAM[index - 1], CPU_BY_RAM[index]
    return low_cpu + (high_cpu - low_cpu) * (ram - low) / (high - low)
