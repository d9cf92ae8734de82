"""FIFO order: of each message group one delivery leads, the others wait behind it."""

from __future__ import annotations

from collections import deque
from itertools import takewhile

from stepweave.engine.delivery.event import Delivery
from stepweave.engine.delivery.ready import Load, entry_id

__all__ = ["Groups"]

_WINDOW = 4096


class _Group:
    """`leader` is None while a dead letter holds the group, or its next cannot be read."""

    __slots__ = ("behind", "leader")

    def __init__(self, leader: Delivery | None) -> None:
        self.leader = leader
        self.behind: deque[Delivery | int] = deque()


class Groups:
    """The groups of one step that have a delivery under way or are held by a dead letter.

    A leader leads from its `claim` until `next`, across its retries. `load` brings back those
    behind it that are kept as entries (engine.delivery.ready).
    """

    __slots__ = ("_groups", "_load", "_waiting")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._groups: dict[str, _Group] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """Deliveries that wait behind another one."""
        return self._waiting

    @property
    def full(self) -> bool:
        """Whether a plain delivery had better wait as an entry."""
        return self._waiting >= _WINDOW

    def claim(self, group: str, delivery: Delivery, *, held: bool) -> bool:
        """Whether the delivery leads its group, now or since before; if not it has to `wait`.

        With `held` nobody comes to lead.
        """
        found = self._groups.get(group)
        if found is None:
            self._groups[group] = _Group(None if held else delivery)
            return not held
        return found.leader is delivery

    def wait(self, group: str, waiting: Delivery | int) -> None:
        """Put a delivery, or its entry, behind its group."""
        self._groups[group].behind.append(waiting)
        self._waiting += 1

    def lead(self, group: str, delivery: Delivery) -> bool:
        """Put a delivery ahead of those that came later; whether it leads, as nothing is under way.

        Several letters may have held the group, and be delivered anew in any order.
        """
        found = self._groups.setdefault(group, _Group(None))
        if found.leader is None:
            found.leader = delivery
            return True
        before = takewhile(lambda each: _rank(each) < delivery.rank, found.behind)
        found.behind.insert(sum(1 for _ in before), delivery)
        self._waiting += 1
        return False

    def leader(self, group: str) -> Delivery | None:
        """Who leads a group."""
        found = self._groups.get(group)
        return None if found is None else found.leader

    def hold(self, group: str) -> None:
        """The leader is over, and nobody leads until `next`."""
        found = self._groups.get(group)
        if found is not None:
            found.leader = None

    def next(self, group: str) -> Delivery | None:
        """The leader is over: the one that leads now, or None when the group is at its end.

        Raises StoreFailed when it cannot be read; nobody leads then, and it may be asked for again.
        """
        found = self._groups.get(group)
        if found is None:
            return None
        found.leader = None
        while found.behind:
            first = found.behind[0]
            loaded = [first] if isinstance(first, Delivery) else self._load([first])
            found.behind.popleft()
            self._waiting -= 1
            if loaded:
                found.leader = loaded[0]
                return found.leader
        del self._groups[group]
        return None

    def behind(self, group: str) -> int:
        """How many wait behind the group's leader."""
        found = self._groups.get(group)
        return 0 if found is None else len(found.behind)

    def clear(self) -> list[Delivery | int]:
        """Forget all groups; returns what waited, in the order of each group."""
        waiting = [each for group in self._groups.values() for each in group.behind]
        self._groups.clear()
        self._waiting = 0
        return waiting


def _rank(waiting: Delivery | int) -> int:
    """The place in its group of what waits there."""
    return waiting.rank if isinstance(waiting, Delivery) else entry_id(waiting)[0]
