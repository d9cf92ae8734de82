"""What every test may lean on."""

from __future__ import annotations

import faulthandler
import os

import pytest
from hypothesis import HealthCheck, settings

# An example may take its time: a busy machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A gate judges a change by the same examples each time; those who work here find new ones.
settings.register_profile("gate", settings.get_profile("untimed"), derandomize=True, database=None)

_END_S = 60
"""A guard against a hang, not a limit: nothing comes near it."""

IS_GATE = bool(os.environ.get("CI"))
settings.load_profile("gate" if IS_GATE else "untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let a gate run the tests in one order, too."""
    if IS_GATE and getattr(config.option, "randomly_seed", None) == "default":
        config.option.randomly_seed = 1


def pytest_unconfigure() -> None:
    """Let no thread that a failed test has left hold up the end of the run."""
    faulthandler.dump_traceback_later(_END_S, exit=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run `@pytest.mark.anyio` tests on asyncio, the loop the runners' pipes need."""
    return "asyncio"
