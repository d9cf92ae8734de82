"""A trace store, and the way to open more of them on the same file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepweave.engine.traces import TraceStore
from tests.unit.traces.kit import Open, Settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "traces.sqlite"


@pytest.fixture
def open_store(path: Path) -> Iterator[Open]:
    stores: list[TraceStore] = []

    def open_it(settings: Settings | None = None, **more: Any) -> TraceStore:
        stores.append(TraceStore(path, settings or Settings(), **more))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Open) -> TraceStore:
    return open_store()
