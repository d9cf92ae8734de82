"""The queue by rank behaves as a sorted list would."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import pytest

from stepweave.ranked import Ranked

MOVE = st.sampled_from(("append", "appendleft", "popleft", "remove"))
MOVES = st.tuples(MOVE, st.integers(-2, 2))


@hypothesis.given(st.lists(MOVES, max_size=60))
def test_the_highest_rank_goes_first_and_equals_in_their_order(
    moves: list[tuple[str, int]],
) -> None:
    queue: Ranked[int] = Ranked()
    model: list[tuple[int, int]] = []
    for number, (move, rank) in enumerate(moves):
        if move == "append":
            queue.append(number, rank)
            behind = [i for i, (_, other) in enumerate(model) if other >= rank]
            model.insert(behind[-1] + 1 if behind else 0, (number, rank))
        elif move == "appendleft":
            queue.appendleft(number, rank)
            before = [i for i, (_, other) in enumerate(model) if other > rank]
            model.insert(before[-1] + 1 if before else 0, (number, rank))
        elif move == "popleft" and model:
            assert queue.popleft() == model.pop(0)[0]
        elif move == "remove" and model:
            item, held = model.pop(len(model) // 2)
            queue.remove(item, held)
        assert list(queue) == [item for item, _ in model]
        assert (len(queue), bool(queue)) == (len(model), bool(model))
        assert queue.top == (model[0][1] if model else None)


def test_what_is_not_there_cannot_be_taken() -> None:
    queue: Ranked[str] = Ranked()
    with pytest.raises(IndexError):
        queue.popleft()
    for rank in (0, 3):
        with pytest.raises(ValueError, match="x"):
            queue.remove("x", rank)
