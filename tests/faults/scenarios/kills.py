"""Orchestrator and runners killed or stopped at any moment, under load, with order to keep."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.faults import handlers
from tests.faults.ondisk import state
from tests.faults.scenarios.hurting import endure
from tests.faults.scenarios.scale import Figures, Scale
from tests.flows.harness import write

__all__ = ["run"]

_TOPICS = [f"{kind}.{name}" for name in handlers.LANGUAGES for kind in ("loose", "ordered")]
_IN_FLIGHT = 64 * len(_TOPICS)
"""Deliveries that may run at once: what one kill makes run again at the most."""

_GROUPS = 112
"""Of each feeder and topic, so that there are a thousand altogether."""

_LOOSE = {
    "python": "await state.set('done', data['id'], True)",
    "typescript": "await state.set('done', data.id, true)",
    "ruby": "state.set('done', data['id'], true)",
}
# However often a run of it is repeated, an event counts once.
_ORDERED = {
    "python": """
    seen = await state.get("groups", data["group"]) or {"n": 0, "count": 0}
    if data["n"] > seen["n"]:
        await state.set("groups", data["group"], {"n": data["n"], "count": seen["count"] + 1})""",
    "typescript": """
  const seen = (await state.get('groups', data.group)) ?? { n: 0, count: 0 }
  if (data.n > seen.n) await state.set('groups', data.group, { n: data.n, count: seen.count + 1 })
""",
    "ruby": """
  seen = state.get('groups', data['group']) || { 'n' => 0, 'count' => 0 }
  if data['n'] > seen['n']
    state.set('groups', data['group'], { n: data['n'], count: seen['count'] + 1 })
  end""",
}


def run(root: Path, scale: Scale) -> Figures:
    """Nothing accepted is lost or stuck, order holds, attempts and state are what they must be."""
    files: dict[str, str] = {}
    for name in handlers.LANGUAGES:
        files |= handlers.accept(name)
        files |= handlers.handler(name, f"loose_{name}", f"loose.{name}", _LOOSE[name])
        files |= handlers.handler(
            name, f"ordered_{name}", f"ordered.{name}", _ORDERED[name], fifo=True
        )
    write(root, files)
    endured = endure(root, scale, _TOPICS, groups=_GROUPS)
    accepted, doubtful, done = endured.accepted, endured.doubtful, endured.done
    book = endured.book
    kills = done["orchestrator"] + done["runner"]
    assert book.ended.keys() <= accepted | doubtful, "an event that nobody sent"
    assert book.repeated <= _IN_FLIGHT * kills
    book.check_attempts()
    groups = book.check_order()
    _check_state(root, book.ended)
    return {
        "accepted": f"{len(accepted):,}",
        "lost": "0",
        "in doubt": f"{len(doubtful):,}",
        "orchestrator killed": str(done["orchestrator"]),
        "runners killed": str(done["runner"]),
        "runners stopped for a while": str(done["stop"]),
        "orchestrator stopped for a while": str(done["pause"]),
        "left behind frozen": str(done["frozen"]),
        "run again": f"{book.repeated:,} ({book.repeated / max(1, kills):.1f} a kill)",
        "groups in order": f"{groups:,}",
        "time": f"{endured.took_s:.0f} s",
    }


def _check_state(root: Path, ended: Counter[str]) -> None:
    """Each loose event left its key, each group the number of its events and the newest."""
    loose = {id for id in ended if "/" not in id}
    assert state(root, "done").keys() == loose
    model: dict[str, dict[str, int]] = {}
    for id in ended.keys() - loose:
        group, _, number = id.partition("/")
        entry = model.setdefault(group, {"n": 0, "count": 0})
        entry["n"] = max(entry["n"], int(number))
        entry["count"] += 1
    assert state(root, "groups") == model
