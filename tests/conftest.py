"""What every test may lean on."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# An example may take its time: a busy machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run `@pytest.mark.anyio` tests on asyncio, the loop the runners' pipes need."""
    return "asyncio"
