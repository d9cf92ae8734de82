"""A running project for the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.flows.harness import Running, start
from tests.http.project import FILES, MAX_BODY


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The project of project.py as in production."""
    root = tmp_path_factory.mktemp("http")
    async with start(root, FILES, STEPWEAVE_SERVER_MAX_BODY=str(MAX_BODY)) as it:
        assert [str(p) for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it
