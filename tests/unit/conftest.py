"""Fixtures that several unit tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine_kit import Rig
from tests.unit.queue_kit import Start


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Makes a bus over a store in the test's folder; closes all of them at the end."""
    async with AsyncExitStack() as stack:

        def make(*steps: Any, folder: Path = tmp_path, **options: Any) -> Rig:
            rig = Rig(folder, *steps, **options)
            stack.push_async_callback(rig.close)
            return rig

        yield make
