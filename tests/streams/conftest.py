"""A running project for the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.flows.harness import Running, start
from tests.streams import node
from tests.streams.project import FILES


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The project of project.py as in production."""
    async with start(tmp_path_factory.mktemp("streams"), FILES) as it:
        yield it


@pytest.fixture
def packages() -> None:
    """The official clients are installed."""
    node.packages()
