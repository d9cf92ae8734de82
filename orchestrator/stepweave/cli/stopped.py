"""What is known of the cron steps of a project that nobody runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from stepweave.cli.opened import opened
from stepweave.engine.cron import CronService
from stepweave.logs import LogHub
from stepweave.steps.model import Kind

if TYPE_CHECKING:
    from stepweave.engine.store.contract import Store
    from stepweave.project import Project

__all__ = ["cron_of"]


def cron_of(project: Project, store: Store) -> Callable[[], Awaitable[CronService]]:
    """A function that gives the project's cron steps as the store knows them, running none.

    They are loaded when it is called first.
    """
    made: list[CronService] = []

    async def service() -> CronService:
        if not made:
            async with opened(project, LogHub()) as orchestrator:
                timezone = project.settings.cron.timezone
                made.append(CronService(store, orchestrator.invoker, timezone=timezone))
                made[0].look(orchestrator.registry.of_kind(Kind.CRON))
        return made[0]

    return service
