"""Throttled steps under kills: no key has more running, or starting in a window, than it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.faults import handlers
from tests.faults.load import Feeder
from tests.faults.ondisk import starts
from tests.faults.scenarios.hurting import endure
from tests.faults.scenarios.scale import Figures, Scale
from tests.flows.harness import write

__all__ = ["run"]

_KEYS = 12
_THROTTLE = {"key": "lane", "concurrency": 2, "limit": 8, "perSeconds": 2}
_CLOCKS_S = 0.5
"""How far the moment a span tells may be from the one that was decided by, on a busy machine."""


class _Laned(Feeder):
    """Sends events in lanes; the lane is the first part of the id."""

    def event(self) -> dict[str, Any]:
        """An event that takes a moment, so that there is something to hold back."""
        topic = self._dice.choice(self._topics)
        self._count += 1
        lane = f"{topic}-{self._dice.randrange(_KEYS)}"
        id = f"{lane}:{self._language}{self._count}"
        return {"topic": topic, "id": id, "lane": lane, "pause": self._dice.choice((0, 5, 30))}


def run(root: Path, scale: Scale) -> Figures:
    """Limits hold in every window and through every restart, and nothing is lost."""
    files: dict[str, str] = {}
    for name in handlers.LANGUAGES:
        files |= handlers.accept(name)
        files |= handlers.handler(name, f"held_{name}", f"held.{name}", throttle=_THROTTLE)
    write(root, files)
    topics = [f"held.{name}" for name in handlers.LANGUAGES]
    endured = endure(root, scale, topics, kind=_Laned)
    accepted, done = endured.accepted, endured.done
    most = endured.book.most_at_once(lambda id: id.partition(":")[0])
    assert max(most.values()) <= _THROTTLE["concurrency"], most.most_common(3)
    lanes: dict[str, list[float]] = {}
    for name in handlers.LANGUAGES:
        for at, data in starts(root, f"held_{name}"):
            lanes.setdefault(data["lane"], []).append(at)
    for lane, moments in lanes.items():
        for first, next_window in zip(moments, moments[_THROTTLE["limit"] :], strict=False):
            told = f"{lane}: {_THROTTLE['limit'] + 1} starts in {next_window - first:.3f} s"
            assert next_window - first >= _THROTTLE["perSeconds"] - _CLOCKS_S, told
    return {
        "accepted": f"{len(accepted):,}",
        "lost": "0",
        "keys": str(len(lanes)),
        "most at once": f"{max(most.values())} of {_THROTTLE['concurrency']}",
        "starts looked at": f"{sum(map(len, lanes.values())):,}",
        "orchestrator killed": str(done["orchestrator"]),
        "runners killed": str(done["runner"]),
        "time": f"{endured.took_s:.0f} s",
    }
