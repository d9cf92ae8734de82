"""What the internal pages and the JSON API show: a read-only view of a running orchestrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import stepweave
from stepweave.steps import openapi

if TYPE_CHECKING:
    from stepweave.orchestrator import Orchestrator

__all__ = ["View"]


class View:
    """Implements http.internal.Insight over an Orchestrator."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._it = orchestrator

    def project(self) -> dict[str, Any]:
        """Name and version for a page's head."""
        return {"name": self._it.project.name, "version": stepweave.__version__}

    def steps(self) -> dict[str, Any]:
        """The listing of `stepweave steps --json`."""
        return self._it.registry.to_json()

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of the steps as they are now, served by whoever serves it."""
        project, registry = self._it.project, self._it.registry
        made = openapi.document(
            registry.steps.values(), title=project.name, version=project.version, servers=("/",)
        )
        return made.content

    def status(self) -> dict[str, Any]:
        """Runners, queues, requests and the followers of streams, in figures."""
        return {
            "runners": self._it.pools.statistics(),
            "unavailable": self._it.pools.unavailable,
            "events": self._it.bus.statistics(),
            "requests": self._it.api.served,
            "streams": self._it.live.statistics(),
        }

    def health(self) -> dict[str, Any]:
        """Live is true when this answers; ready when every runner can take calls."""
        pools = self._it.pools.pools.values()
        ready = self._it.ready and all(pool.status == "ready" for pool in pools)
        return {
            "status": "ok" if ready else "starting",
            "live": True,
            "ready": ready,
            "version": stepweave.__version__,
            "runners": {pool.name: pool.status for pool in pools},
        }

    async def traces(self, limit: int) -> list[dict[str, Any]]:
        """The newest traces."""
        return await self._it.traces.traces(limit=limit)

    async def trace(self, trace_id: str) -> dict[str, Any] | None:
        """One trace with its spans and log records."""
        return await self._it.traces.trace(trace_id)

    async def logs(self, limit: int) -> list[dict[str, Any]]:
        """The newest log records."""
        return await self._it.traces.logs(limit=limit)
