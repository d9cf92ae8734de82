"""The `infrastructure` block of a config: limits of the handler and of the queue before it."""

from __future__ import annotations

from bisect import bisect_left

from stepweave.steps import queueing
from stepweave.steps.model import Defaults, HandlerOptions, Infrastructure, Kind
from stepweave.steps.section import Section

__all__ = ["read"]

RAM_MB = (128, 10240)
TIMEOUT_S = (1, 900)
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
    queue = queueing.read(queue_block, handler_block, defaults.queue) if queue_block else None
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
    timeout_s = plain.timeout_s if timeout is None else float(timeout)
    return HandlerOptions(timeout_s, ram, cpu, block.boolean("isolate") or False)


def _limit(block: Section, key: str, message: str) -> None:
    block.error("out_of_limits", f"{block.at(key)}: {message}", key)


def _cpu(ram: float) -> float:
    """The vCPUs that belong to that much memory, which is within RAM_MB."""
    sizes = [size for size, _ in CPU_BY_RAM]
    index = max(1, bisect_left(sizes, ram))
    (low, low_cpu), (high, high_cpu) = CPU_BY_RAM[index - 1], CPU_BY_RAM[index]
    return low_cpu + (high_cpu - low_cpu) * (ram - low) / (high - low)
