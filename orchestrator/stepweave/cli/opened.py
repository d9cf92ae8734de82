"""A project opened for its steps alone, over data of its own that is forgotten."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepweave.logs import LogHub
    from stepweave.orchestrator import Orchestrator
    from stepweave.project import Project
    from stepweave.steps.registry import Registry

__all__ = ["load", "opened"]


async def load(project: Project, hub: LogHub) -> Registry:
    """The project's steps, without touching its data, which a running server may hold."""
    async with opened(project, hub) as orchestrator:
        return orchestrator.registry


@asynccontextmanager
async def opened(project: Project, hub: LogHub) -> AsyncIterator[Orchestrator]:
    """The project with its steps loaded, over data of its own that is forgotten."""
    from stepweave.orchestrator import Orchestrator

    with tempfile.TemporaryDirectory(prefix="stepweave-") as folder:
        storage = dataclasses.replace(project.settings.storage, path=folder)
        settings = dataclasses.replace(project.settings, storage=storage)
        alone = dataclasses.replace(project, settings=settings)
        async with Orchestrator(alone, "run", hub) as orchestrator:
            yield orchestrator
