"""Who among the atomic calls may write a key: one at a time, the others in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

__all__ = ["Holder", "Key", "Locks"]

Key = tuple[str | None, str, str]
"""(stream, None for state; group; key or id)."""


class Holder:
    """Someone who takes locks, and waits for one of them at a time."""

    __slots__ = ("_since", "held", "waited_s", "waits_for")

    def __init__(self) -> None:
        self.held: set[Key] = set()
        self.waits_for: Key | None = None
        self.waited_s = 0.0
        """How long it has waited in all, up to the last wait that is over."""
        self._since = 0.0

    def wait(self, key: Key) -> None:
        """It waits from now on."""
        self.waits_for, self._since = key, monotonic()

    def go_on(self) -> None:
        """It waits no more."""
        self.waits_for = None
        self.waited_s += monotonic() - self._since


class Locks:
    """Locks that are kept until `release`. Two that would wait for each other are told so."""

    def __init__(self) -> None:
        self._owners: dict[Key, Holder] = {}
        self._waiting: dict[Key, deque[tuple[Holder, Callable[[], None]]]] = {}

    def take(self, key: Key, holder: Holder, then: Callable[[], None]) -> bool:
        """Call `then` once the key is the holder's, perhaps at once; False if it never would be,
        since its owner waits for this holder."""
        owner = self._owners.get(key)
        if owner is None:
            self._owners[key] = holder
            holder.held.add(key)
        elif owner is not holder:
            if self._leads_back(owner, holder):
                return False
            holder.wait(key)
            self._waiting.setdefault(key, deque()).append((holder, then))
            return True
        then()
        return True

    def release(self, holder: Holder) -> None:
        """Give up all locks, and the wait for one."""
        if holder.waits_for is not None:
            waiting = self._waiting[holder.waits_for]
            kept = deque(each for each in waiting if each[0] is not holder)
            self._waiting[holder.waits_for] = kept
            holder.go_on()
        held, holder.held = holder.held, set()
        # All of them have their next owner before the first goes on: it may want another one.
        for then in [then for key in held if (then := self._hand_over(key)) is not None]:
            then()

    def _hand_over(self, key: Key) -> Callable[[], None] | None:
        del self._owners[key]
        waiting = self._waiting.get(key)
        if not waiting:
            self._waiting.pop(key, None)
            return None
        holder, then = waiting.popleft()
        if not waiting:
            del self._waiting[key]
        holder.go_on()
        self._owners[key] = holder
        holder.held.add(key)
        return then

    def _leads_back(self, owner: Holder, holder: Holder) -> bool:
        while owner.waits_for is not None:
            following = self._owners.get(owner.waits_for)
            if following is holder:
                return True
            if following is None:
                return False
            owner = following
        return False
