"""One path of the JSON API: a function for each method, and errors in one form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stepweave.errors import Conflict, InvalidInput, StoreFailed, TooLarge
from stepweave.http.request import ClientGone

__all__ = ["ROOT", "Refused", "Resource"]

ROOT = "/_stepweave/api/"

Serve = Callable[[Request], Awaitable[Any]]


class Refused(Exception):
    """A request that cannot be met, with the status that says so."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Resource:
    """One path: a function for each method, whose result is the JSON of the answer."""

    def __init__(self, **serve: Serve) -> None:
        self._serve = {name.upper(): each for name, each in serve.items()}
        if "GET" in self._serve:
            self._serve = {"GET": self._serve["GET"], "HEAD": self._serve["GET"], **self._serve}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientGone:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        allowed = ", ".join(self._serve)
        serve = self._serve.get(request.method)
        if serve is None:
            path = request.scope["raw_path"].decode("latin-1")
            text = f"{path} answers {allowed}, not {request.method}"
            return _json({"error": text}, 405, {"allow": allowed})
        try:
            return _json(await serve(request))
        except Refused as refusal:
            return _json({"error": str(refusal)}, refusal.status)
        except InvalidInput as error:
            return _json({"error": str(error)}, 400)
        except Conflict as error:
            return _json({"error": str(error)}, 409)
        except TooLarge as error:
            return _json({"error": str(error)}, 413)
        except StoreFailed as error:
            return _json({"error": str(error)}, 503)


def _json(content: Any, status: int = 200, head: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, head, media_type="application/json")
