"""`infrastructure.queue`: how events reach a step, with its limits."""

from __future__ import annotations

from typing import Literal

from stepweave.steps.model import Backoff, Batch, QueueOptions, Throttle
from stepweave.steps.section import Section

__all__ = ["MAX_PRIORITY", "read"]

MAX_DELAY_S = 900
MAX_PAUSE_S = 30 * 86_400
MAX_PRIORITY = 1000
MAX_WINDOW_S = 86_400
MAX_BATCH = 10_000
MAX_BATCH_WAIT_MS = 60_000


def read(block: Section, handler: Section | None, plain: QueueOptions) -> QueueOptions:
    """The queue's options with their defaults; what breaks a limit is noted as an error."""
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
    type = _type(block)
    if type != "fifo" and block.values.get("onDeadLetter") == "continue":
        block.note(
            "warning",
            "no_effect",
            f"{block.at('onDeadLetter')} has no effect: only the groups of type 'fifo' wait",
            "onDeadLetter",
            "take it out, or add type: 'fifo'",
        )
    batch = _batch(block)
    throttle = _throttle(block)
    if batch is not None and type == "fifo":
        block.error(
            "bad_value",
            f"{block.at('batch')} does not go with type 'fifo', which runs one event at a time",
            "batch",
            "take one of the two out",
        )
    if batch is not None and throttle is not None:
        block.error(
            "bad_value",
            f"{block.at('batch')} does not go with throttle, which counts single events",
            "batch",
            "take one of the two out; concurrency limits the batches that run at once",
        )
    return QueueOptions(
        type=type,
        max_retries=plain.max_retries if retries is None else int(retries),
        visibility_timeout_s=900.0 if visibility is None else float(visibility),
        delay_s=0.0 if delay is None else float(delay),
        concurrency=None if concurrency is None else int(concurrency),
        backoff=backoff,
        priority=_priority(block),
        throttle=throttle,
        batch=batch,
        on_dead_letter=_on_dead_letter(block),
    )


def _type(block: Section) -> Literal["standard", "fifo"]:
    value = block.text("type")
    if value == "fifo":
        return "fifo"
    if value not in (None, "standard"):
        message = f'{block.at("type")} is "{value}"'
        block.error("bad_value", message, "type", "write 'standard' or 'fifo'")
    return "standard"


def _priority(block: Section) -> int:
    value = block.number("priority", whole=True)
    if value is None:
        return 0
    if abs(value) > MAX_PRIORITY:
        _limit(block, "priority", f"priority must be from -{MAX_PRIORITY} to {MAX_PRIORITY}")
    return int(value)


def _on_dead_letter(block: Section) -> Literal["wait", "continue"]:
    value = block.text("onDeadLetter")
    if value == "continue":
        return "continue"
    if value not in (None, "wait"):
        message = f'{block.at("onDeadLetter")} is "{value}"'
        block.error("bad_value", message, "onDeadLetter", "write 'wait' or 'continue'")
    return "wait"


def _throttle(queue: Section) -> Throttle | None:
    block = queue.section("throttle")
    if block is None:
        return None
    concurrency = block.number("concurrency", whole=True)
    limit = block.number("limit", whole=True)
    window = block.number("perSeconds")
    for key, value in (("concurrency", concurrency), ("limit", limit)):
        if value is not None and value < 1:
            _limit(block, key, f"{key} must be at least 1")
    if window is not None and not 0 < window <= MAX_WINDOW_S:
        _limit(block, "perSeconds", f"perSeconds must be more than 0 and at most {MAX_WINDOW_S}")
    if concurrency is None and limit is None:
        hint = "write {concurrency: 1} or {limit: 10, perSeconds: 60}, and key for one lane a value"
        queue.error("missing_key", f"{queue.at('throttle')} limits nothing", "throttle", hint)
    path = block.text("key")
    return Throttle(
        key=tuple(path.split(".")) if path else (),
        concurrency=None if concurrency is None else int(concurrency),
        limit=None if limit is None else int(limit),
        window_s=1.0 if window is None else float(window),
    )


def _batch(queue: Section) -> Batch | None:
    value = queue.values.get("batch")
    if isinstance(value, int | float) and not isinstance(value, bool):
        queue.values["batch"] = {"size": value}
    block = queue.section("batch")
    if block is None:
        return None
    size = block.number("size", whole=True)
    wait = block.number("waitMs")
    if block.values.get("size") is None:
        block.missing("size", "write the most events that one call takes, such as 100")
    elif size is not None and not 1 <= size <= MAX_BATCH:
        _limit(block, "size", f"size must be from 1 to {MAX_BATCH}")
    if wait is not None and not 0 <= wait <= MAX_BATCH_WAIT_MS:
        _limit(block, "waitMs", f"waitMs must be from 0 to {MAX_BATCH_WAIT_MS}")
    return Batch(size=int(size or 1), wait_s=float(wait or 0) / 1000)


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
        elif value is not None and value > MAX_PAUSE_S:
            _limit(block, key, f"{key} cannot exceed {MAX_PAUSE_S} seconds (30 days)")
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
