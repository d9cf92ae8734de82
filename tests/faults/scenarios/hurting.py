"""A site that is fed while its orchestrator and its runners are killed and stopped."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.faults.book import Book
from tests.faults.load import Feeder, Site, accept, settled
from tests.faults.ondisk import left
from tests.faults.scenarios.scale import Scale
from tests.faults.server import is_alive, until

__all__ = ["Endured", "endure"]

_PATIENT = {
    "STEPWEAVE_EVENTS_MAX_RETRIES": "1000",  # nobody is buried for the kills of others
    "STEPWEAVE_EVENTS_BACKOFF_CAP_S": "0.2",
}


class Endured(NamedTuple):
    """What was accepted, what may have been, which faults were done, and what the book says."""

    accepted: set[str]
    doubtful: set[str]
    done: Counter[str]
    book: Book
    took_s: float


def endure(
    root: Path,
    scale: Scale,
    topics: list[str],
    *,
    groups: int = 1,
    kind: Callable[..., Feeder] = Feeder,
) -> Endured:
    """Run a project to its end under faults: everything accepted has been handled, nothing is left
    in the store and nothing is buried."""
    site = Site(root, environment=_PATIENT)
    began = time.monotonic()
    try:
        accepted, doubtful, done = accept(
            site, topics, scale, lambda: _harm(site, scale), groups=groups, kind=kind
        )
        settled(site, accepted)
        site.stop()
    finally:
        site.close()
    assert left(root) == (0, 0)
    return Endured(accepted, doubtful, done, site.book.read(), time.monotonic() - began)


def _harm(site: Site, scale: Scale) -> Counter[str]:
    """Do the faults one after the other, beginning with one of each kind; a server runs then."""
    dice = scale.dice("faults")
    done = Counter[str]()
    site.open()
    kinds = ["runner", "orchestrator", "stop", "pause", "frozen"]
    for number in range(scale.faults):
        time.sleep(dice.uniform(0.02, 0.6))
        site.book.read()
        if number >= len(kinds):
            what = dice.choices(kinds, (10, 7, 2, 2, 1))[0]
        else:
            what = kinds[number]
        done[what] += 1
        scale.say(f"fault {number + 1} of {scale.faults}: {what}")
        if what in ("orchestrator", "frozen"):
            if what == "frozen":  # a runner that does not notice
                os.kill(dice.choice(sorted(site.server.runners)), signal.SIGSTOP)
                done["orchestrator"] += 1
            site.kill()
            if dice.random() < 0.15:  # again before it is up
                site.open(ready=False)
                time.sleep(dice.uniform(0.1, 0.6))
                site.kill()
                done["orchestrator"] += 1
            site.open()
            continue
        if what == "pause":
            site.server.signal(signal.SIGSTOP)
            time.sleep(_while(dice, scale))
            site.server.signal(signal.SIGCONT)
            continue
        runner = dice.choice(sorted(until(lambda: site.server.runners, "a runner")))
        with contextlib.suppress(ProcessLookupError):
            if what == "stop":
                os.kill(runner, signal.SIGSTOP)
                time.sleep(_while(dice, scale))
                os.kill(runner, signal.SIGCONT)
            else:
                site.book.note("k", "runner")
                os.kill(runner, signal.SIGKILL)
                until(lambda pid=runner: not is_alive(pid), "a runner's end")
        if what == "runner":
            site.book.note("d", "runner")
    return done


def _while(dice: random.Random, scale: Scale) -> float:
    """For how many seconds something is stopped; now and then for long, in a long run."""
    if scale.faults < 10:
        return dice.uniform(0.5, 1.0)
    return dice.uniform(0.5, 3.0) if dice.random() < 0.9 else dice.uniform(3.0, 30.0)
