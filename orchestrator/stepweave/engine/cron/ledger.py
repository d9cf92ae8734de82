"""What is recorded of cron steps, so that a restart neither repeats a tick nor loses one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stepweave.engine.store.contract import CronState, Store
from stepweave.engine.store.operations import CronPause, CronTick, Operation
from stepweave.errors import StepweaveError

__all__ = ["Ledger", "passing"]


def passing(step: str, at: int) -> tuple[Operation, ...]:
    """What says that a time went by without a run and is not to be made up."""
    return (CronTick(step, at, runs=False),)


class Ledger:
    """The cron steps' part of the store. `failed` gets a sentence about what it refused."""

    def __init__(self, store: Store, failed: Callable[[str], None]) -> None:
        self._store = store
        self._failed = failed

    def states(self) -> dict[str, CronState]:
        """What is known of each step by its name. Only at start."""
        return {state.step: state for state in self._store.cron()}

    def begin(
        self, step: str, at: int, done: Callable[[StepweaveError | None, bool], None]
    ) -> None:
        """Record that a tick begins; `done(error, whether it is ours)`.

        It is not ours if it, or a later one, was recorded before.
        """

        def told(error: StepweaveError | None, results: Any) -> None:
            done(error, error is None and bool(results[0]))

        self._store.submit((CronTick(step, at),), told)

    def end(self, step: str, operations: Sequence[Operation]) -> None:
        """Record that a tick has run, and what else goes with that."""

        def told(error: StepweaveError | None, _results: Any) -> None:
            if error is not None:
                self._failed(
                    f"{step}: its run's end was not recorded, so it may run again after the next "
                    f"start: {error}"
                )

        if operations:
            self._store.submit(operations, told)

    async def pause(self, step: str, paused: bool, more: Sequence[Operation] = ()) -> None:
        """Record a pause or its end; returns once it survives a power cut. Raises StoreFailed."""
        await self._store.apply((CronPause(step, paused), *more))
        await self._store.sync(self._store.last_sequence)
