"""What runs, waits, is delayed or held, step by step, as people see it."""

from __future__ import annotations

from typing import Any, Protocol

from stepweave.engine.store.contract import Store

__all__ = ["Key", "Queues"]

Key = tuple[int, str]
"""(event, step): what names a delivery."""


class Counted(Protocol):
    """Knows what runs and waits: a Bus, or Offline."""

    def statistics(self) -> dict[str, Any]: ...


class Queues:
    """A reading of the bus's figures."""

    def __init__(self, store: Store, bus: Counted) -> None:
        self._store = store
        self._bus = bus

    def held(self) -> set[tuple[str, str]]:
        """(step, group) of each group that waits for a dead letter."""
        loaded = self._bus.statistics()["subscriptions"]
        held = {(step, group) for step, it in loaded.items() for group in it.get("held", ())}
        return held | {(step, group) for step, group in self._store.held() if step not in loaded}

    def describe(self) -> dict[str, Any]:
        """Per step, by name, and in all.

        `parked` waits for a step that is not loaded, `behind` and `lanes` are part of `waiting`.
        """
        found = self._bus.statistics()
        loaded, parked = found.pop("subscriptions"), found.pop("parked")
        queues = [
            _queue(step, loaded.get(step, {}), parked.get(step, 0))
            for step in sorted({*loaded, *parked})
        ]
        sums = ("running", "waiting", "delayed", "parked")
        totals = {name: sum(queue[name] for queue in queues) for name in sums}
        return {"queues": queues, "totals": {**totals, **found}}


def _queue(step: str, found: dict[str, Any], parked: int) -> dict[str, Any]:
    held, lanes = found.get("held", {}), found.get("lanes", {})
    return {
        "step": step,
        "running": found.get("running", 0),
        "waiting": found.get("waiting", 0),
        "delayed": found.get("delayed", 0),
        "parked": parked,
        "held": [{"group": group, "behind": behind} for group, behind in held.items()],
        "lanes": [{"lane": lane, "waiting": count} for lane, count in lanes.items()],
    }
