"""Trees of atomic steps under kills: each node counts, waits, and has others run below it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults import handlers
from tests.faults.load import Feeder
from tests.faults.ondisk import state
from tests.faults.scenarios.hurting import endure
from tests.faults.scenarios.scale import Figures, Scale
from tests.flows.harness import write

__all__ = ["run"]

_DEPTH = 8
_CHILDREN = (0, 1, 1, 1, 2, 3)
_COUNTERS = 12
_NODE = {
    "python": """
    for counter, by in data["adds"]:
        await state.increment("counters", counter, by)
    await state.increment("ran", data["id"], 1)
    for child in data["children"]:
        await emit({"topic": child["topic"], "data": child, "delay": child["delay"]})""",
    "typescript": """
  for (const [counter, by] of data.adds) await state.increment('counters', counter, by)
  await state.increment('ran', data.id, 1)
  for (const child of data.children)
    await emit({ topic: child.topic, data: child, delay: child.delay })""",
    "ruby": """
  data['adds'].each { |counter, by| state.increment('counters', counter, by) }
  state.increment('ran', data['id'], 1)
  data['children'].each do |child|
    context.emit(topic: child['topic'], data: child, delay: child['delay'])
  end""",
}


class _Planter(Feeder):
    """Sends trees. What was accepted is the ids of their roots."""

    def __init__(self, trees: dict[str, Any], *args: Any) -> None:
        """`trees` takes in all that are sent, by the id of the root."""
        super().__init__(*args)
        self.trees = trees

    @property
    def runs(self) -> int:
        """The nodes of the trees that were accepted."""
        return sum(self.trees[id]["size"] for id in list(self.accepted))

    def event(self) -> dict[str, Any]:
        """The root of a tree."""
        self._count += 1
        id = f"{self._language}{self._count}"
        tree = _node(id, self._topics, self._dice, _DEPTH)
        tree["size"] = sum(1 for _ in _nodes(tree))
        self.trees[id] = tree
        return tree


def run(root: Path, scale: Scale) -> Figures:
    """Every node of every tree that was taken has run once, and every counter equals the model."""
    files: dict[str, str] = {}
    for name in handlers.LANGUAGES:
        files |= handlers.accept(name)
        files |= handlers.handler(name, f"node_{name}", f"node.{name}", _NODE[name], atomic=True)
    write(root, files)
    topics = [f"node.{name}" for name in handlers.LANGUAGES]
    planted: dict[str, Any] = {}
    endured = endure(root, scale, topics, kind=partial(_Planter, planted))
    accepted, doubtful, done = endured.accepted, endured.doubtful, endured.done
    ran = state(root, "ran")
    taken = accepted | (doubtful & ran.keys())
    nodes = [node for id in taken for node in _nodes(planted[id])]
    assert ran == {node["id"]: 1 for node in nodes}
    model = Counter[str]()
    for node in nodes:
        for counter, by in node["adds"]:
            model[counter] += by
    assert state(root, "counters") == model
    return {
        "trees": f"{len(taken):,}",
        "nodes": f"{len(nodes):,}, each counted once",
        "orchestrator killed": str(done["orchestrator"]),
        "runners killed": str(done["runner"]),
        "run again": f"{endured.book.repeated:,}",
        "time": f"{endured.took_s:.0f} s",
    }


def _node(id: str, topics: list[str], dice: random.Random, depth: int) -> dict[str, Any]:
    children = dice.choice(_CHILDREN) if depth > 1 else 0
    return {
        "id": id,
        "topic": dice.choice(topics),
        "pause": dice.choice((0, 0, 0, 5)),
        "delay": dice.choice((0, 0, 0, 30, 200)),
        "adds": [
            (f"counter {dice.randrange(_COUNTERS)}", dice.randint(-3, 9))
            for _ in range(dice.randrange(3))
        ],
        "children": [_node(f"{id}.{n}", topics, dice, depth - 1) for n in range(children)],
    }


def _nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield tree
    for child in tree["children"]:
        yield from _nodes(child)
