"""The JSON API over a store of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepweave.engine.store.sqlite import SqliteStore
from tests.unit.manage.kit import Api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    store = SqliteStore(tmp_path)
    yield Api(store)
    await store.close()
