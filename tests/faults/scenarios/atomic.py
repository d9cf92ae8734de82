"""Atomic steps under kills: what they write and emit happens exactly once for each event."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.faults import handlers
from tests.faults.ondisk import state, stream
from tests.faults.scenarios.hurting import endure
from tests.faults.scenarios.scale import Figures, Scale
from tests.flows.harness import write

__all__ = ["run"]

_ACCOUNTS = 20
_STREAM = """
config = {
    "name": "entries", "baseConfig": {"storageType": "default"},
    "schema": {"type": "object", "properties": {"n": {"type": "number"}}},
}
"""
_BOOK = {
    "python": """
    await state.increment("accounts", str(data["n"] % 20), 1)
    await state.set("seen", data["id"], True)
    await streams.entries.set("all", data["id"], {"n": data["n"]})
    await emit({"topic": "booked", "data": {"id": f"after-{data['id']}", "of": data["id"]}})""",
    "typescript": """
  await state.increment('accounts', String(data.n % 20), 1)
  await state.set('seen', data.id, true)
  await streams.entries.set('all', data.id, { n: data.n })
  await emit({ topic: 'booked', data: { id: `after-${data.id}`, of: data.id } })""",
    "ruby": """
  state.increment('accounts', (data['n'] % 20).to_s, 1)
  state.set('seen', data['id'], true)
  streams.entries.set('all', data['id'], { n: data['n'] })
  context.emit(topic: 'booked', data: { id: "after-#{data['id']}", of: data['id'] })""",
}
_BOOKED = "await state.increment('followed', data['of'], 1)"


def run(root: Path, scale: Scale) -> Figures:
    """Each event counts once, in state, in a stream and in what follows, however often it ran."""
    files = {"steps/entries.stream.py": _STREAM}
    files |= handlers.handler("python", "booked", "booked", _BOOKED, atomic=True)
    for name in handlers.LANGUAGES:
        files |= handlers.accept(name)
        files |= handlers.handler(name, f"book_{name}", f"book.{name}", _BOOK[name], atomic=True)
    write(root, files)
    topics = [f"book.{name}" for name in handlers.LANGUAGES]
    endured = endure(root, scale, topics)
    accepted, doubtful, done = endured.accepted, endured.doubtful, endured.done
    seen = state(root, "seen").keys()
    assert accepted <= seen <= accepted | doubtful
    model = Counter(str(_number(id) % _ACCOUNTS) for id in seen)
    counted = state(root, "accounts")
    assert counted == model, f"counted {sum(counted.values())} for {len(seen)} events"
    assert stream(root, "entries").keys() == seen
    assert state(root, "followed") == dict.fromkeys(seen, 1)
    return {
        "accepted": f"{len(accepted):,}",
        "counted": f"{sum(counted.values()):,} for {len(seen):,} that were taken",
        "followed by": f"{len(seen):,} events, each once",
        "orchestrator killed": str(done["orchestrator"]),
        "runners killed": str(done["runner"]),
        "run again": f"{endured.book.repeated:,}",
        "time": f"{endured.took_s:.0f} s",
    }


def _number(id: str) -> int:
    return int("".join(filter(str.isdigit, id)))
