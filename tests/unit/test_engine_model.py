"""Whatever happens to a bus, nothing is lost, done twice at once or left behind.

`STEPWEAVE_SEEDS=10000` runs more histories, `STEPWEAVE_SEED=7` runs one. The clock is real, so that
one which fails by its timing may have to be run a few times.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stepweave.engine.delivery import groups, ready, records, retries, subscription
from tests.unit.engine_history import History

pytestmark = pytest.mark.anyio

ONE = os.environ.get("STEPWEAVE_SEED")
MANY = int(os.environ.get("STEPWEAVE_SEEDS", "200"))
SEEDS = [int(ONE)] if ONE else list(range(MANY))
PARTS = 8


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that overflow after a few, and pauses that cost nothing."""
    monkeypatch.setattr(ready, "_WINDOW", 3)
    monkeypatch.setattr(ready, "_REFILL", 2)
    monkeypatch.setattr(groups, "_WINDOW", 3)
    monkeypatch.setattr(records, "_REFUSED_S", 0.002)
    monkeypatch.setattr(subscription, "_UNREADABLE_S", 0.002)
    monkeypatch.setattr(retries, "_LATER_MS", dict.fromkeys(retries._LATER_MS, 1))
    monkeypatch.setattr(retries, "_LOST_MS", 1)


@pytest.mark.parametrize("part", range(PARTS))
async def test_any_history_ends_well(part: int, tmp_path: Path, small: None) -> None:
    for seed in SEEDS[part::PARTS]:
        history = History(seed, tmp_path / str(seed))
        try:
            await history.run()
        except BaseException as error:
            error.add_note(f"replay: STEPWEAVE_SEED={seed} pytest tests/unit/test_engine_model.py")
            raise
        finally:
            history.rig.bus.stop()
            await history.rig.store.close()
