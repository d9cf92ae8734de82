"""The JSON API that changes things: events, dead letters and state."""

from __future__ import annotations

from starlette.routing import Route

from stepweave.engine.desk.browser import Browser
from stepweave.engine.desk.ledger import Ledger
from stepweave.engine.desk.letters import Letters
from stepweave.http.manage.dead import Dead
from stepweave.http.manage.events import Events
from stepweave.http.manage.resource import ROOT, Resource
from stepweave.http.manage.state import NAMES, State

__all__ = ["ROOT", "routes"]


def routes(ledger: Ledger, letters: Letters, browser: Browser, max_body: int) -> list[Route]:
    """The routes below /_stepweave/api; bodies may have `max_body` bytes."""
    events = Events(ledger)
    dead = Dead(letters, max_body)
    state = State(browser, max_body)
    return [
        Route(f"{ROOT}events", Resource(get=events.list)),
        Route(f"{ROOT}events/cancel", Resource(post=events.cancel_all)),
        Route(f"{ROOT}events/{{id}}", Resource(get=events.show, delete=events.cancel)),
        Route(f"{ROOT}queues", Resource(get=events.queues)),
        Route(f"{ROOT}dead", Resource(get=dead.list)),
        Route(f"{ROOT}dead/retry", Resource(post=dead.retry_all)),
        Route(f"{ROOT}dead/discard", Resource(post=dead.discard_all)),
        Route(f"{ROOT}dead/{{id}}", Resource(get=dead.show, delete=dead.discard)),
        Route(f"{ROOT}dead/{{id}}/retry", Resource(post=dead.retry)),
        Route(f"{ROOT}state", Resource(get=state.groups)),
        Route(f"{ROOT}state/{NAMES}", state),
    ]
