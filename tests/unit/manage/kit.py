"""The routes of the JSON API over a real store, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import orjson
from starlette.applications import Starlette
from starlette.routing import Route

from stepweave.engine.desk.browser import Browser
from stepweave.engine.desk.ledger import Ledger
from stepweave.engine.desk.letters import Letters
from stepweave.engine.desk.offline import Offline
from stepweave.engine.store.operations import Bury, PutEvent
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.http import manage
from stepweave.payload import Payload, encode

__all__ = ["ERROR", "MAX_BODY", "Api", "Bus"]

MAX_BODY = 200
ERROR = {
    "code": "handler_failed",
    "message": "no money",
    "frames": [{"file": "steps/pay.step.py", "line": 3, "function": "handler"}],
}


class Bus(Offline):
    """A bus in which the test says what runs and is held."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store)
        self.active: set[tuple[int, str]] = set()
        self.subscriptions: dict[str, Any] = {}

    def running(self) -> set[tuple[int, str]]:
        return self.active

    def statistics(self) -> dict[str, Any]:
        return {**super().statistics(), "subscriptions": self.subscriptions, "published": 3}


class Api:
    """The routes, and the store below them."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.bus = bus = Bus(store)
        parts = Ledger(store, bus), Letters(store, bus), Browser(store)
        app = Starlette(routes=manage.routes(*parts, MAX_BODY))
        self.paths = [route.path for route in app.routes if isinstance(route, Route)]
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost/_stepweave/api"
        )

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        answer = await self.http.request(method, path, **more)
        assert answer.headers["content-type"] == "application/json"
        return answer.status_code, answer.json() if method != "HEAD" else None

    async def bury(self, id: int, step: str = "Pay", data: Payload | None = None) -> int:
        """Make a dead letter; its id."""
        put = PutEvent(id, "order", data, "00-7-8-01", "Shop", 5, "g", None, ((step, 0),))
        bury = Bury(id, step, 4, "error", orjson.dumps(ERROR), 8, True)
        await self.store.apply((put, bury))
        return (await self.store.dead(1))[0].id

    async def put(
        self,
        *ids: int,
        steps: Sequence[str] = ("Pay",),
        group: str | None = None,
        due_at: int = 5,
    ) -> None:
        """Make events, with a delivery for each of the steps."""
        for id in ids:
            data, deliveries = encode({"n": id}), tuple((step, due_at) for step in steps)
            await self.store.apply(
                (PutEvent(id, "order", data, "00-7-8-01", "Shop", 5, group, None, deliveries),)
            )

    async def waiting(self) -> list[tuple[str, Payload | None]]:
        """Step and data of what is to be delivered."""
        await self.store.apply(())
        events: list[Any] = []
        waiting = list(self.store.waiting())
        for each in waiting:
            self.store.event(each.event, lambda error, found: events.append(found))
        steps = (each.subscription for each in waiting)
        return list(zip(steps, (each.data for each in events), strict=True))
