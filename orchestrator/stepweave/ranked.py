"""A queue by rank: the highest first, and among equals in the order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Ranked"]

_T = TypeVar("_T")


class Ranked(Generic[_T]):
    """A deque for each rank in use. Costs no more than one deque where all have rank 0."""

    __slots__ = ("_others", "_plain", "_ranks")

    def __init__(self) -> None:
        self._plain: deque[_T] = deque()
        self._others: dict[int, deque[_T]] = {}
        self._ranks: list[int] = []

    def __len__(self) -> int:
        return len(self._plain) + sum(map(len, self._others.values()))

    def __contains__(self, item: object) -> bool:
        return any(each is item for each in self)

    def __bool__(self) -> bool:
        return bool(self._plain or self._ranks)

    def __iter__(self) -> Iterator[_T]:
        """All, the next one first."""
        for rank in (rank for rank in self._ranks if rank > 0):
            yield from self._others[rank]
        yield from self._plain
        for rank in (rank for rank in self._ranks if rank < 0):
            yield from self._others[rank]

    @property
    def plain(self) -> deque[_T]:
        """Those of rank 0; it may be changed."""
        return self._plain

    @property
    def top(self) -> int | None:
        """The rank of the next one, None when there is none."""
        if self._ranks and (self._ranks[0] > 0 or not self._plain):
            return self._ranks[0]
        return 0 if self._plain else None

    def append(self, item: _T, rank: int) -> None:
        """Add behind those of its rank."""
        (self._bucket(rank) if rank else self._plain).append(item)

    def appendleft(self, item: _T, rank: int) -> None:
        """Add ahead of those of its rank."""
        (self._bucket(rank) if rank else self._plain).appendleft(item)

    def popleft(self) -> _T:
        """Take the next one. Raises IndexError when there is none."""
        if not self._ranks or (self._ranks[0] < 0 and self._plain):
            return self._plain.popleft()
        rank = self._ranks[0]
        item = self._others[rank].popleft()
        self._tidy(rank)
        return item

    def remove(self, item: _T, rank: int) -> None:
        """Take one out of the middle. Raises ValueError when it is not there."""
        if not rank:
            self._plain.remove(item)
            return
        if rank not in self._others:
            raise ValueError(item)
        self._others[rank].remove(item)
        self._tidy(rank)

    def clear(self) -> list[_T]:
        """Take all, the next one first."""
        items = list(self)
        self._plain.clear()
        self._others.clear()
        self._ranks.clear()
        return items

    def _bucket(self, rank: int) -> deque[_T]:
        bucket = self._others.get(rank)
        if bucket is None:
            bucket = self._others[rank] = deque()
            self._ranks.append(rank)
            self._ranks.sort(reverse=True)
        return bucket

    def _tidy(self, rank: int) -> None:
        if not self._others[rank]:
            del self._others[rank]
            self._ranks.remove(rank)
