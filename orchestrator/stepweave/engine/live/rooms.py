"""Who follows which items of the streams: each change goes out once, when it is on disk."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from stepweave.engine.live.follower import Follower, Key
from stepweave.engine.live.notices import Clock, Message, change_message, sync_message
from stepweave.engine.live.trail import Trail
from stepweave.engine.store.contract import Store
from stepweave.engine.streams import Change
from stepweave.errors import InvalidInput, StepweaveError, StoreFailed
from stepweave.payload import Payload

__all__ = ["Rooms"]

_AGAIN_S = 1.0
_SLICE_S = 0.01
_LIGHT_S = 0.001
_MOST_REST_S = 0.02
_MOST_QUEUED = 10_000


class _Wish(NamedTuple):
    since: int | None
    again: bool


class _Snapshot:
    """A room as it is at one point of the order of changes, and who waits for it."""

    __slots__ = ("items", "key", "seq", "wishes")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.wishes: dict[Follower, _Wish] = {}
        self.seq = 0
        self.items: list[tuple[str, Payload]] = []


class Rooms:
    """Takes committed changes and snapshots in the store's order, and sends them in that order.

    Nothing is sent before it survives a power cut; one sync serves all who wait. A follower
    begins with a snapshot and gets exactly the changes that come after it.
    """

    def __init__(self, store: Store, notice: Callable[[str, str], None]) -> None:
        self._store = store
        self._notice = notice
        self._loop = asyncio.get_running_loop()
        self._clock = Clock()
        self._trail = Trail()
        self._rooms: dict[Key, dict[Follower, None]] = {}
        self._reads: dict[Key, _Snapshot] = {}
        self._queue: deque[tuple[int, Change | _Snapshot]] = deque()
        self._newest = 0
        self._pump: asyncio.Task[None] | None = None
        self._turning = False
        self._closed = False
        self._rest_until = 0.0

    @property
    def sizes(self) -> tuple[int, int]:
        """How many rooms there are, and how many places in them are taken."""
        return len(self._rooms), sum(map(len, self._rooms.values()))

    def stamp(self) -> str:
        """The time for a message, in ms: later than that of every message before it."""
        return self._clock.tick()

    def changed(self, change: Change) -> None:
        """Take a change: a committed one in its order, or an event."""
        if self._closed:
            return
        if not self._rooms and not self._reads and not self._queue:
            self._trail.add(change)
            return
        # An event may tell of anything its sender has seen.
        kept = change.type != "event"
        self._put(self._store.settled if kept else self._store.last_sequence, change)

    def join(
        self, follower: Follower, key: Key, *, since: int | None = None, again: bool = False
    ) -> None:
        """Send the room as it is, then its changes.

        With `since`, the group's number that the follower has seen, only what it missed is sent
        if that is still known. `again` tells of an item that is gone, to one who knew it.
        """
        follower.rooms.add(key)
        snapshot = self._reads.get(key)
        if snapshot is None:
            snapshot = self._reads[key] = _Snapshot(key)
            self._store.stream_snapshot(*key, self._read(snapshot))
        snapshot.wishes[follower] = _Wish(since, again)

    def leave(self, follower: Follower, key: Key) -> None:
        """Send nothing more of this room."""
        follower.rooms.discard(key)
        room = self._rooms.get(key)
        if room is not None:
            room.pop(follower, None)
            if not room:
                del self._rooms[key]
        snapshot = self._reads.get(key)
        if snapshot is not None:
            snapshot.wishes.pop(follower, None)

    def drop(self, follower: Follower) -> None:
        """The follower is gone."""
        for key in list(follower.rooms):
            self.leave(follower, key)

    def refresh(self, follower: Follower) -> None:
        """Give a follower that was stale all its rooms anew."""
        keys = list(follower.rooms)
        self.drop(follower)
        follower.stale = False
        for key in keys:
            self.join(follower, key, again=True)

    async def drain(self) -> None:
        """Send what is committed, unless that takes long."""
        await asyncio.sleep(0)
        if self._pump is not None:
            await asyncio.wait((self._pump,), timeout=_AGAIN_S)

    def close(self) -> None:
        """Send nothing any more."""
        self._closed = True
        if self._pump is not None:
            self._pump.cancel()

    # --- in the order of the store

    def _read(self, snapshot: _Snapshot) -> Callable[[StepweaveError | None, Any], None]:
        def done(error: StepweaveError | None, result: Any) -> None:
            if error is None:
                snapshot.seq, snapshot.items = result
                self._put(self._store.settled, snapshot)
                return
            self._notice("error", f"the stream {snapshot.key[0]} cannot be read: {error}")
            self._reads.pop(snapshot.key, None)
            for follower in snapshot.wishes:
                follower.rooms.discard(snapshot.key)
                follower.lost(snapshot.key, "The stream cannot be read now")

        return done

    def _put(self, sequence: int, entry: Change | _Snapshot) -> None:
        self._newest = max(self._newest, sequence)
        self._queue.append((sequence, entry))
        if len(self._queue) > _MOST_QUEUED:
            self._overrun()
        self._go_on()

    def _go_on(self) -> None:
        if self._turning or self._pump is not None:
            return
        if self._store.synced(self._newest):
            # Whatever else is told in this turn of the loop goes out together.
            self._turning = True
            self._loop.call_later(self._rest_s(), self._turn)
        else:
            self._pump = self._loop.create_task(self._sync())

    def _turn(self) -> None:
        self._turning = False
        if self._store.synced(self._newest):
            self._deliver(self._newest)
        if self._queue:
            self._go_on()

    async def _sync(self) -> None:
        try:
            while self._queue:
                await asyncio.sleep(self._rest_s())
                newest = self._newest
                try:
                    await self._store.sync(newest)
                except StoreFailed as error:
                    self._notice("error", f"changes of streams are held back: {error}")
                    await asyncio.sleep(_AGAIN_S)
                    continue
                while self._queue and self._queue[0][0] <= newest:
                    self._deliver(newest)
                    await asyncio.sleep(self._rest_s())
        finally:
            self._pump = None

    def _deliver(self, newest: int) -> None:
        """Send what is durable up to `newest`, or as much of it as may hold the loop up."""
        queue = self._queue
        touched: list[Follower] = []
        began = time.perf_counter()
        until = began + _SLICE_S
        while queue and queue[0][0] <= newest and time.perf_counter() < until:
            entry = queue.popleft()[1]
            try:
                if isinstance(entry, Change):
                    self._send_change(entry, touched)
                else:
                    self._send_snapshot(entry, touched)
            except InvalidInput as error:
                self._notice("error", f"a change of a stream cannot be sent: {error}")
        for follower in touched:
            follower.flush()
        ended = time.perf_counter()
        if ended - began > _LIGHT_S:
            self._rest_until = ended + min(ended - began, _MOST_REST_S)

    def _rest_s(self) -> float:
        """Seconds until the next delivery: as long as a heavy one took, so that followers get half
        of the loop at most, and more changes go out with the next write to each of them."""
        return max(0.0, self._rest_until - time.perf_counter())

    def _overrun(self) -> None:
        """More changes come than can be sent: whoever follows begins anew instead."""
        self._notice("warn", "streams change faster than their followers can be told")
        entries, self._queue = self._queue, deque()
        rooms, self._rooms = self._rooms, {}
        again = [(follower, key) for key, room in rooms.items() for follower in room]
        for _, entry in entries:
            if isinstance(entry, Change):
                self._trail.add(entry)
            else:
                del self._reads[entry.key]
                again += [(follower, entry.key) for follower in entry.wishes]
        for follower, key in again:
            self.join(follower, key, again=True)

    # --- sending

    def _send_change(self, change: Change, touched: list[Follower]) -> None:
        self._trail.add(change)
        stream, group, id = change[:3]
        everyone = self._rooms.get((stream, group, None))
        single = self._rooms.get((stream, group, id)) if id is not None else None
        if not everyone and not single:
            return
        message = change_message(change, self.stamp())
        if everyone is not None:
            touched += [follower for follower in everyone if follower.take(message)]
        if single is not None:
            # Who follows the group as well has it already; clients hand it to both.
            rest = single if everyone is None else single.keys() - everyone.keys()
            touched += [follower for follower in rest if follower.take(message)]

    def _send_snapshot(self, snapshot: _Snapshot, touched: list[Follower]) -> None:
        key = snapshot.key
        self._reads.pop(key, None)
        if not snapshot.wishes:
            return
        room = self._rooms.setdefault(key, {})
        whole: Message | None = None
        for follower, wish in snapshot.wishes.items():
            room[follower] = None
            missed = self._missed(snapshot, wish)
            if missed is None:
                whole = whole or sync_message(key, snapshot.items, snapshot.seq, self.stamp())
                messages = [whole]
            else:
                messages = [change_message(change, self.stamp()) for change in missed]
            if any([follower.take(message) for message in messages]):
                touched.append(follower)

    def _missed(self, snapshot: _Snapshot, wish: _Wish) -> list[Change] | None:
        """What brings a follower up to the snapshot: changes, or None for all of it."""
        stream, group, id = snapshot.key
        if wish.since is not None:
            missed = self._trail.between(stream, group, wish.since, snapshot.seq)
            if missed is not None:
                return [change for change in missed if id is None or change.id == id]
        if id is None or snapshot.items:
            return None
        return [_gone(snapshot)] if wish.again else []


def _gone(snapshot: _Snapshot) -> Change:
    stream, group, id = snapshot.key
    data = ("json", orjson.dumps({"id": id}))
    return Change(stream, group, id, "delete", data, snapshot.seq, 0)
