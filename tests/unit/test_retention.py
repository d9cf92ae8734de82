"""Dead letters leave when the project says so, over a real store and a clock of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepweave.calls import Call
from stepweave.engine.desk.retention import Retention
from stepweave.engine.store.operations import Bury, PutEvent
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.errors import StoreFailed

pytestmark = pytest.mark.anyio

DAY = 86_400_000


class Keeper:
    """A retention, its store, its clock and what it said."""

    def __init__(self, store: SqliteStore, days: float = 2) -> None:
        self.store = store
        self.now = 10 * DAY
        self.said: list[tuple[str, str]] = []
        self.pauses: list[float] = []
        self.retention = Retention(
            store, days, self._notice, clock=lambda: self.now, pause=self._pause
        )

    def _notice(self, level: str, message: str, _call: Call | None) -> None:
        self.said.append((level, message))

    async def _pause(self, seconds: float) -> None:
        """Time passes at once; the third pause is where the test ends."""
        self.pauses.append(seconds)
        if len(self.pauses) == 3:
            raise asyncio.CancelledError
        self.now += int(seconds * 1000)

    async def bury(self, event: int, at: int, holds: bool = False) -> None:
        put = PutEvent(event, "order", None, "00-t-s-01", "Shop", 1, "g", None, (("Pay", 0),))
        await self.store.apply((put, Bury(event, "Pay", 1, "error", b"{}", at, True, holds)))

    async def left(self) -> list[int]:
        return [letter.event for letter in await self.store.dead()]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    yield store
    await store.close()


async def test_old_letters_are_forgotten_but_not_those_that_hold_a_group(
    store: SqliteStore,
) -> None:
    keeper = Keeper(store)
    await keeper.bury(1, 7 * DAY)
    await keeper.bury(2, 7 * DAY, holds=True)
    await keeper.bury(3, 9 * DAY)

    await keeper.retention.sweep()
    await keeper.retention.sweep()

    assert await keeper.left() == [3, 2]
    assert keeper.said == [("info", "1 dead letter older than 2 days forgotten")]


async def test_it_looks_shortly_after_the_start_and_then_every_hour(store: SqliteStore) -> None:
    keeper = Keeper(store)
    await keeper.bury(1, 8 * DAY)
    await keeper.bury(2, 8 * DAY + 60_000)

    with pytest.raises(asyncio.CancelledError):
        await keeper.retention.run()

    assert keeper.pauses[0] < 60 and keeper.pauses[1:] == [3600, 3600]
    assert await keeper.left() == []
    assert len(keeper.said) == 2


async def test_for_ever_is_for_ever(store: SqliteStore) -> None:
    keeper = Keeper(store, days=0)
    await keeper.bury(1, 0)

    await keeper.retention.run()

    assert (await keeper.left(), keeper.pauses) == ([1], [])


async def test_a_store_that_fails_is_asked_again(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_before: int) -> int:
        raise StoreFailed("the disk is full")

    keeper = Keeper(store)
    monkeypatch.setattr(store, "forget_dead", fail)

    with pytest.raises(asyncio.CancelledError):
        await keeper.retention.run()

    assert (
        keeper.said
        == [
            ("error", "old dead letters were not forgotten: the disk is full"),
        ]
        * 2
    )
