"""What becomes of a delivery whose handler did not succeed."""

from __future__ import annotations

import random
from enum import Enum, auto

from stepweave.calls import Outcome
from stepweave.engine.delivery.event import Delivery
from stepweave.engine.transaction import CONTENDED
from stepweave.steps.model import QueueOptions

__all__ = ["Verdict", "later_ms", "pause_ms", "suspicion", "verdict"]

_RELOADING_MS = 50
_UNAVAILABLE_MS = 1000
_LOST_MS = 50
_CONTENDED_MS = 25


class Verdict(Enum):
    """KEEP it for the next start, deliver it AGAIN without counting, RETRY it, or BURY it."""

    KEEP = auto()
    AGAIN = auto()
    RETRY = auto()
    BURY = auto()


# Outcomes that are not the event's own doing, and how long to wait after them.
_LATER_MS = {
    "unknown_step": _RELOADING_MS,
    "stale_revision": _RELOADING_MS,
    "busy": _UNAVAILABLE_MS,
    CONTENDED: _CONTENDED_MS,
}


def later_ms(outcome: Outcome, before: int) -> int:
    """Milliseconds until a delivery is run again through no fault of its own, as it was `before`
    in vain. Those that got in each other's way come back at different times; a step that is not
    there is waited for with pauses that grow."""
    code = (outcome.error or {}).get("code", "")
    pause = _LATER_MS[code]
    if code == CONTENDED:
        return random.randint(1, pause)
    return max(pause, min(pause << min(before, 10), _UNAVAILABLE_MS))


def verdict(delivery: Delivery, queue: QueueOptions, outcome: Outcome) -> Verdict:
    """What to do next. Call it before `delivery.deaths` is raised for a lost runner.

    Work that lost its runner is given one more run even with no retries left: others ran in
    that runner too, so its first death may not have been its fault. Deaths are forgotten at a
    restart, tries are not: one that is beyond its retries has had that run.
    """
    code = (outcome.error or {}).get("code")
    if code == "shutting_down":
        return Verdict.KEEP
    if code in _LATER_MS:
        return Verdict.AGAIN
    beyond = delivery.attempt - queue.max_retries
    maybe_innocent = outcome.status == "lost" and delivery.deaths < 1 and beyond <= 1
    if beyond > 0 and not maybe_innocent:
        return Verdict.BURY
    return Verdict.RETRY


def suspicion(delivery: Delivery, queue: QueueOptions) -> int:
    """How far apart the next try runs: 0 among all, 1 with a few suspects, from 2 up alone.

    A last try after a death is alone, so that it is not another's fault that buries it.
    """
    is_last = delivery.attempt > queue.max_retries
    return max(2, delivery.deaths) if delivery.deaths and is_last else delivery.deaths


def pause_ms(delivery: Delivery, queue: QueueOptions, outcome: Outcome) -> int:
    """Milliseconds until the next try; short after a lost runner, for a new one is there soon."""
    ceiling = int(queue.backoff.ceiling_s(delivery.attempt) * 1000)
    if outcome.status == "lost":
        return int(min(_LOST_MS * 2 ** min(delivery.attempt - 1, 20), ceiling))
    if queue.backoff.jitter:
        return random.randint(ceiling // 2, ceiling)
    return ceiling
