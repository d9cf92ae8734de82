"""Events that were cancelled while some of their deliveries still stood in a queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stepweave.engine.delivery.event import Delivery
    from stepweave.engine.delivery.subscription import Subscription

__all__ = ["Cancelled"]


class _Case:
    """`asked` counts questions to the store that are open, `gone` are the steps whose deliveries
    it has taken away and that have not met theirs yet."""

    __slots__ = ("aside", "asked", "gone", "missed", "running")

    def __init__(self) -> None:
        self.asked = 0
        self.running: frozenset[str] = frozenset()
        self.aside: list[tuple[Subscription, Delivery]] = []
        self.gone: set[str] = set()
        self.missed: set[str] = set()
        """Steps that looked for their delivery in vain before the answer was heard."""


class Cancelled:
    """What to do with a delivery whose turn comes although its event was cancelled.

    Queues are not searched: a cancelled delivery is met when its turn comes, and dropped then.
    """

    __slots__ = ("_cases",)

    def __init__(self) -> None:
        self._cases: dict[int, _Case] = {}

    def __bool__(self) -> bool:
        return bool(self._cases)

    def begin(self, event: int, running: Iterable[str]) -> None:
        """The store is asked to take away an event's deliveries, but for those that run."""
        case = self._cases.setdefault(event, _Case())
        case.asked += 1
        case.running = frozenset(running) if case.asked == 1 else case.running & set(running)

    def end(self, event: int, gone: Iterable[str]) -> list[tuple[Subscription, Delivery]]:
        """The store has answered; returns the deliveries whose turn came meanwhile."""
        case = self._cases[event]
        case.asked -= 1
        case.gone.update(set(gone) - case.missed)
        aside, case.aside = case.aside, []
        if not case.asked and not case.gone:
            del self._cases[event]
        return aside

    def concerns(self, event: int) -> bool:
        """Whether deliveries of an event were taken away that are still in memory."""
        return event in self._cases

    def look(self, event: int, step: str) -> Literal["no", "asked", "gone"]:
        """Whether a delivery is cancelled, or may be as soon as the store has answered."""
        case = self._cases.get(event)
        if case is None:
            return "no"
        if step in case.gone:
            return "gone"
        return "asked" if case.asked and step not in case.running else "no"

    def keep_aside(self, subscription: Subscription, delivery: Delivery) -> None:
        """Keep a delivery until the store has answered."""
        self._cases[delivery.event.id].aside.append((subscription, delivery))

    def drop(self, event: int, step: str) -> bool:
        """A delivery has left its queue for good; whether it was a cancelled one."""
        case = self._cases.get(event)
        if case is None:
            return False
        if step not in case.gone:
            # The store may have taken it away a moment ago, and the answer is on its way.
            if case.asked:
                case.missed.add(step)
            return case.asked > 0
        case.gone.discard(step)
        if not case.asked and not case.gone:
            del self._cases[event]
        return True
