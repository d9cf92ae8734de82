"""The JSON API that changes things: dead letters delivered anew, state read and written."""

from __future__ import annotations

from starlette.routing import Route

from stepweave.engine.browser import Browser
from stepweave.engine.letters import Letters
from stepweave.http.manage.dead import Dead
from stepweave.http.manage.resource import ROOT, Resource
from stepweave.http.manage.state import NAMES, State

__all__ = ["ROOT", "routes"]


def routes(letters: Letters, browser: Browser, max_body: int) -> list[Route]:
    """The routes below /_stepweave/api; bodies may have `max_body` bytes."""
    dead = Dead(letters, max_body)
    state = State(browser, max_body)
    return [
        Route(f"{ROOT}dead", Resource(get=dead.list)),
        Route(f"{ROOT}dead/retry", Resource(post=dead.retry_all)),
        Route(f"{ROOT}dead/discard", Resource(post=dead.discard_all)),
        Route(f"{ROOT}dead/{{id}}", Resource(get=dead.show, delete=dead.discard)),
        Route(f"{ROOT}dead/{{id}}/retry", Resource(post=dead.retry)),
        Route(f"{ROOT}state", Resource(get=state.groups)),
        Route(f"{ROOT}state/{NAMES}", state),
    ]
