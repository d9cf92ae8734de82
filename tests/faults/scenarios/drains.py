"""Stopping in order under load, again and again: nothing is lost and nothing runs twice."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults import handlers
from tests.faults.load import Site, feeding, settled
from tests.faults.ondisk import left
from tests.faults.scenarios.scale import Figures, Scale
from tests.flows.harness import write

__all__ = ["run"]

_TOPICS = [f"{kind}.{name}" for name in handlers.LANGUAGES for kind in ("loose", "ordered")]
_GRACE_S = 20.0


def run(root: Path, scale: Scale) -> Figures:
    """Send SIGTERM while events and requests run; `faults` times."""
    files: dict[str, str] = {}
    for name in handlers.LANGUAGES:
        files |= handlers.accept(name) | handlers.handler(name, f"loose_{name}", f"loose.{name}")
        files |= handlers.handler(name, f"ordered_{name}", f"ordered.{name}", fifo=True)
    write(root, files)
    site = Site(root, environment={"STEPWEAVE_SHUTDOWN_GRACE_S": str(_GRACE_S)})
    dice = scale.dice()
    took: list[float] = []
    try:
        site.open()
        with feeding(site, _TOPICS, scale.dice("events"), 10) as feeders:
            for number in range(scale.faults):
                scale.say(f"stop {number + 1} of {scale.faults}")
                time.sleep(dice.uniform(0.05, 0.5))
                began = time.monotonic()
                site.stop()
                took.append(time.monotonic() - began)
                site.book.read()
                site.open()
        accepted = set[str]().union(*(feeder.accepted for feeder in feeders))
        settled(site, accepted)
        site.stop()
    finally:
        site.close()
    book = site.book.read()
    assert book.repeated == 0, f"{book.begun.most_common(3)} began more than once"
    assert book.begun == book.ended, "a run was broken off"
    assert max(took) < _GRACE_S
    assert left(root) == (0, 0)
    book.check_order()
    return {
        "stops": str(len(took)),
        "accepted": f"{len(accepted):,}",
        "lost": "0",
        "run again": "0",
        "longest stop": f"{max(took):.2f} s",
    }
