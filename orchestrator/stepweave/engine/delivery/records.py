"""Writes what became of deliveries, also while the store refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stepweave.engine.store.contract import Store
from stepweave.engine.store.operations import Bury, Operation, Retry, Settle
from stepweave.errors import StepweaveError

__all__ = ["Records"]

_REFUSED_S = 1.0
"""After which something that the store refused is written again."""


class Records:
    """`refused` gets the error when the store refuses something, once for each delivery."""

    def __init__(self, store: Store, refused: Callable[[StepweaveError], None]) -> None:
        self._store = store
        self._refused = refused
        self._stopped = False
        self.unrecorded: set[tuple[int, str]] = set()
        """(event, step) of deliveries that are over, which the store has refused to note."""

    def once(self, op: Operation, then: Callable[[], None]) -> None:
        """Write something about a delivery and go on, even if the store refuses it."""

        def done(error: StepweaveError | None, _results: Any) -> None:
            if error is not None:
                self._refused(error)
            then()

        self._store.submit((op,), done)

    def end(self, op: Settle | Bury, then: Callable[[], None] | None) -> None:
        """Write the end of a delivery, again and again while the store refuses; a delivery whose
        end is not written when the program ends is run once more."""
        key = (op.event, op.subscription)

        def done(error: StepweaveError | None, _results: Any) -> None:
            if error is None:
                self.unrecorded.discard(key)
                if then is not None:
                    then()
                return
            if key not in self.unrecorded:
                self.unrecorded.add(key)
                self._refused(error)
            self._later(lambda: self._store.submit((op._replace(last=None),), done))

        self._store.submit((op,), done)

    def retry(self, op: Retry, then: Callable[[], None]) -> None:
        """Write that a delivery is to be tried again, again and again while the store refuses:
        a try that it does not know of would not count after a restart."""
        told = False

        def done(error: StepweaveError | None, _results: Any) -> None:
            nonlocal told
            if error is None:
                then()
                return
            if not told:
                told = True
                self._refused(error)
            self._later(lambda: self._store.submit((op,), done))

        self._store.submit((op,), done)

    def stop(self) -> None:
        """Write nothing again; the next start finds it."""
        self._stopped = True

    def _later(self, write: Callable[[], object]) -> None:
        def again() -> None:
            if not self._stopped:
                write()

        asyncio.get_running_loop().call_later(_REFUSED_S, again)
