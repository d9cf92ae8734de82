"""The closed loop of calls that bare pipe and runner pool are both measured with."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable
from typing import Any

__all__ = ["BODY", "PARAMS", "Done", "Figures", "closed_loop"]

Done = Callable[[Any], None]
Figures = dict[str, float]

BODY = json.dumps(
    {
        "id": "3f1c9b52-8f0e-4a8c-9d57-0c1f4a2be6d1",
        "petName": "Mia",
        "product": "tuna-feast",
        "quantity": 12,
        "email": "ann@example.com",
        "placedAt": "2026-01-02T03:04:05.678Z",
        "note": "ring twice, please",
    },
    separators=(",", ":"),
)
"""A body of about 200 bytes, used wherever a benchmark needs one."""

PARAMS: dict[str, Any] = {
    "step": "steps/echo.step.py",
    "revision": 1,
    "kind": "event",
    "input": {"topic": "bench.echo", "data": ("json", BODY.encode()), "event": "0" * 26},
    "trace": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "attempt": 1,
    "deadline_ms": 300_000,
}
"""What an invoke frame carries."""

_WARM_UP_S = 0.3


async def closed_loop(call: Callable[[Done], None], depth: int, seconds: float) -> Figures:
    """Keep `depth` calls open for `seconds`, after a warm-up.

    Returns calls/s and the latency of one call, p50 and p99 in µs.
    """
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    began = time.perf_counter()
    warm, until = began + _WARM_UP_S, began + _WARM_UP_S + seconds
    latencies: list[float] = []
    running = depth

    def go() -> None:
        sent_at = time.perf_counter()

        def done(_answer: Any) -> None:
            nonlocal running
            now = time.perf_counter()
            if sent_at >= warm:
                latencies.append(now - sent_at)
            if now < until:
                go()
                return
            running -= 1
            if not running:
                finished.set_result(now)

        call(done)

    gc.freeze()
    for _ in range(depth):
        go()
    took = await finished - warm
    latencies.sort()
    return {
        "calls/s": len(latencies) / took,
        "p50 µs": latencies[len(latencies) // 2] * 1e6,
        "p99 µs": latencies[len(latencies) * 99 // 100] * 1e6,
    }
