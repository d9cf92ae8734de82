"""Deliveries below /_stepweave/api/events, and the queues in which they wait."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from stepweave.engine import ids
from stepweave.engine.desk.ledger import STATES, Ledger
from stepweave.http.manage import parameters
from stepweave.http.manage.resource import Refused

__all__ = ["Events"]


class Events:
    """Listed, shown, cancelled."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def list(self, request: Request) -> Any:
        query = parameters.query(request, "limit", "before", "step", "topic", "state")
        found, next = await self._ledger.list(
            parameters.limit(query),
            _before(query["before"]) if "before" in query else None,
            step=query.get("step"),
            topic=query.get("topic"),
            state=parameters.choice(query, "state", *STATES),
        )
        return {"events": found, "next": None if next is None else f"{ids.show(next[0])}:{next[1]}"}

    async def show(self, request: Request) -> Any:
        parameters.query(request)
        id = _id(request)
        found = await self._ledger.show(id)
        if found is None:
            raise Refused(
                404,
                f"nothing of event {ids.show(id)} waits, runs or is dead; if it was handled, its "
                "trace tells",
            )
        return found

    async def cancel(self, request: Request) -> Any:
        query = parameters.query(request, "step")
        id = _id(request)
        found = await self._ledger.cancel(id, query.get("step"))
        if found is None:
            raise Refused(404, f"nothing of event {ids.show(id)} waits or runs")
        return found

    async def cancel_all(self, request: Request) -> Any:
        query = parameters.query(request, "step", "topic")
        return await self._ledger.cancel_all(query.get("step"), query.get("topic"))

    async def queues(self, request: Request) -> Any:
        parameters.query(request)
        return self._ledger.queues()


def _id(request: Request) -> int:
    return ids.read(request.path_params["id"])


def _before(text: str) -> tuple[int, str]:
    event, colon, step = text.partition(":")
    if not colon:
        raise Refused(400, f"before is the next of another page, not {text[:100]!r}")
    return ids.read(event), step
