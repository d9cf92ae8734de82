"""Orchestrator and runners killed or stopped at any moment, under load, with order to keep."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from tests.faults import handlers
from tests.faults.load import Site, accept, settled
from tests.faults.ondisk import left, state
from tests.faults.scenarios.scale import Figures, Scale
from tests.faults.server import is_alive, until
from tests.flows.harness import write

__all__ = ["PATIENT", "harm", "run"]

PATIENT = {
    "STEPWEAVE_EVENTS_MAX_RETRIES": "1000",  # nobody is buried for the kills of others
    "STEPWEAVE_EVENTS_BACKOFF_CAP_S": "0.2",
}
"""The settings of a site that is hurt again and again."""

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
    site = Site(root, environment=PATIENT)
    began = time.monotonic()
    try:
        accepted, doubtful, done = accept(
            site, _TOPICS, scale, lambda: harm(site, scale), groups=_GROUPS
        )
        settled(site, accepted)
        site.stop()
    finally:
        site.close()
    book = site.book.read()
    kills = done["orchestrator"] + done["runner"]
    assert book.ended.keys() <= accepted | doubtful, "an event that nobody sent"
    assert left(root) == (0, 0)
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
        "time": f"{time.monotonic() - began:.0f} s",
    }


def harm(site: Site, scale: Scale) -> Counter[str]:
    """Do the faults one after the other, beginning with one of each kind; a server runs then."""
    dice = scale.dice("faults")
    done = Counter[str]()
    site.open()
    kinds = ["runner", "orchestrator", "stop", "pause", "frozen"]
    for number in range(scale.faults):
        time.sleep(dice.uniform(0.02, 0.6))
        site.book.read()
        if number >= len(kinds):
            what = dice.choices(kinds, (10, 7, 2, 2, 1))[0]
        else:
            what = kinds[number]
        done[what] += 1
        scale.say(f"fault {number + 1} of {scale.faults}: {what}")
        if what in ("orchestrator", "frozen"):
            if what == "frozen":  # a runner that does not notice
                os.kill(dice.choice(sorted(site.server.runners)), signal.SIGSTOP)
                done["orchestrator"] += 1
            site.kill()
            if dice.random() < 0.15:  # again before it is up
                site.open(ready=False)
                time.sleep(dice.uniform(0.1, 0.6))
                site.kill()
                done["orchestrator"] += 1
            site.open()
            continue
        if what == "pause":
            site.server.signal(signal.SIGSTOP)
            time.sleep(_while(dice, scale))
            site.server.signal(signal.SIGCONT)
            continue
        runner = dice.choice(sorted(until(lambda: site.server.runners, "a runner")))
        with contextlib.suppress(ProcessLookupError):
            if what == "stop":
                os.kill(runner, signal.SIGSTOP)
                time.sleep(_while(dice, scale))
                os.kill(runner, signal.SIGCONT)
            else:
                site.book.note("k", "runner")
                os.kill(runner, signal.SIGKILL)
                until(lambda pid=runner: not is_alive(pid), "a runner's end")
        if what == "runner":
            site.book.note("d", "runner")
    return done


def _while(dice: random.Random, scale: Scale) -> float:
    """For how many seconds something is stopped; now and then for long, in a long run."""
    if scale.faults < 10:
        return dice.uniform(0.5, 1.0)
    return dice.uniform(0.5, 3.0) if dice.random() < 0.9 else dice.uniform(3.0, 30.0)


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
