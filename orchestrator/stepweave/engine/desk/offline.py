"""Changes to deliveries while no bus runs: the next start takes them up."""

from __future__ import annotations

from collections import Counter
from typing import Any

from stepweave.calls import now_ms
from stepweave.engine import ids
from stepweave.engine.store.contract import Done, Store
from stepweave.engine.store.operations import Cancel, Discard, Redrive
from stepweave.errors import StepweaveError
from stepweave.payload import Payload

__all__ = ["Offline"]


class Offline:
    """Does on the store alone what a Bus does for Letters and Ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids = ids.EventIds(after=store.newest())

    def redrive(self, dead: int, done: Done, data: tuple[Payload | None] | None = None) -> None:
        """See Bus.redrive."""

        def committed(error: StepweaveError | None, results: Any) -> None:
            made = None if error is not None else results[0]
            done(error, None if made is None else ids.show(made[0].id))

        self._store.submit((Redrive(dead, self._ids.next(), now_ms(), data),), committed)

    def discard(self, dead: int, done: Done) -> None:
        """See Bus.discard."""

        def committed(error: StepweaveError | None, results: Any) -> None:
            done(error, error is None and results[0] is not None)

        self._store.submit((Discard(dead),), committed)

    def cancel_event(self, event: int, done: Done, step: str | None = None) -> None:
        """See Bus.cancel_event."""

        def committed(error: StepweaveError | None, results: Any) -> None:
            done(error, None if error is not None else len(results[0]))

        self._store.submit((Cancel(event, (), step),), committed)

    def running(self) -> set[tuple[int, str]]:
        """Nothing."""
        return set()

    def statistics(self) -> dict[str, Any]:
        """How many deliveries wait for each step; as no step is loaded, all are parked."""
        parked = Counter(row.subscription for row in self._store.waiting())
        return {"subscriptions": {}, "parked": dict(parked)}
