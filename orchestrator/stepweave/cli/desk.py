"""Where `events`, `state` and `cron` work: at the running server, else on the store itself.

Both ways go through the routes of http.manage, so they cannot differ in what they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.types import Message

from stepweave.cli import options, presence, stopped
from stepweave.engine.desk.browser import Browser
from stepweave.engine.desk.ledger import Ledger
from stepweave.engine.desk.letters import Letters
from stepweave.engine.desk.offline import Offline
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.errors import StepweaveError, UsageError
from stepweave.http import manage
from stepweave.http.manage import cron as manage_cron
from stepweave.project import Project

__all__ = ["Desk", "Missing", "dump", "open_desk"]


_PATIENCE_S = 30.0
"""How long a server may take to answer what only reads."""

_FRAMES = 5000
"""Enough for 1,024 levels, which is what the server shows of a value."""

_BYTES = "surrogateescape"
"""Bytes of the command line that are no UTF-8 go out as they are, and are refused there."""


class Missing(StepweaveError):
    """What was asked for is not there."""


class _Way(Protocol):
    def send(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        ...


class Desk:
    """Asks for a path below /_stepweave/api. `running`: a server takes the changes up at once."""

    def __init__(self, way: _Way, running: bool) -> None:
        self._way = way
        self.running = running

    def ask(
        self,
        method: str,
        *path: str,
        query: Mapping[str, object] | None = None,
        body: bytes = b"",
    ) -> Any:
        """The answer, decoded; see `fetch`."""
        text = self.fetch(method, *path, query=query, body=body)
        try:
            return json.loads(text)
        except RecursionError as error:
            raise StepweaveError("the answer is nested too deeply to be shown") from error

    def fetch(
        self,
        method: str,
        *path: str,
        query: Mapping[str, object] | None = None,
        body: bytes = b"",
    ) -> str:
        """The JSON of the answer; parameters that are None are left out.

        Raises Missing, UsageError for what the server does not understand, StepweaveError.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = manage.ROOT + "/".join(map(_quoted, path))
        status, text = self._way.send(method, target, urlencode(given, errors=_BYTES), body)
        if status < 400:
            return text.decode()
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise StepweaveError(f"the server answered {status} and no JSON") from error
        reason = str(answer.get("error") if isinstance(answer, dict) else answer)
        if status == 404:
            raise Missing(reason)
        raise UsageError(reason) if status == 400 else StepweaveError(reason)


@contextlib.contextmanager
def open_desk(folder: str | None) -> Iterator[Desk]:
    """A desk for the project in the folder, or around the one you are in.

    Raises UsageError if there is none, StoreFailed if its data cannot be opened.
    """
    project = options.open_project(folder)
    server = presence.find(project.storage)
    if server is not None:
        remote = _Remote(
            server.url, server.key or project.settings.server.token, _certificate(project)
        )
        if remote.answers():
            with _deep():
                yield Desk(remote, running=True)
            return
    with asyncio.Runner() as runner, _deep():
        local = runner.run(_open(runner, project))
        try:
            yield Desk(local, running=False)
        finally:
            runner.run(local.store.close())


@contextlib.contextmanager
def _deep() -> Iterator[None]:
    """Let JSON be read and written level by level, as deep as the server shows it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def dump(value: Any) -> str:
    """JSON for people, with a line end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _certificate(project: Project) -> Path | None:
    name = project.settings.server.tls_cert
    return None if name is None else project.root / name


def _trusting(certificate: Path | None) -> ssl.SSLContext:
    """Trust in the project's own certificate, whatever name and issuer it has."""
    try:
        context = ssl.create_default_context(cafile=certificate)
    except OSError as error:
        raise UsageError(f"[server] tls_cert {certificate} cannot be read: {error}") from error
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _quoted(name: str) -> str:
    return quote(name, safe="", errors=_BYTES)


class _Remote:
    """Over HTTP, to a server of this machine."""

    def __init__(self, url: str, token: str | None, certificate: Path | None) -> None:
        self._url = url
        self._token = token
        parts = urlsplit(url)
        self._address = (parts.hostname or "localhost", parts.port or 80)
        self._context = _trusting(certificate) if parts.scheme == "https" else None

    def _connection(self, patience_s: float | None) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(*self._address, timeout=patience_s)
        return http.client.HTTPSConnection(
            *self._address, timeout=patience_s, context=self._context
        )

    def answers(self) -> bool:
        """Whether anyone listens: a process may have got the number of one that is gone."""
        connection = self._connection(_PATIENCE_S)
        try:
            connection.connect()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def send(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        """See _Way. Raises StepweaveError that says why the server does not let us in."""
        headers = {"host": "localhost", "connection": "close"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        target = f"{path}?{query}" if query else path
        # What changes something may go through all there is, and a run may take its time.
        connection = self._connection(_PATIENCE_S if method == "GET" else None)
        try:
            connection.request(method, target, body or None, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise StepweaveError(f"{self._url}: the server did not answer: {error}") from error
        finally:
            connection.close()
        if status == 401:
            raise StepweaveError(
                f"{self._url}: the server wants another token; [server] token, or "
                "STEPWEAVE_SERVER_TOKEN, must be what it was started with"
            )
        if status == 404 and b"There is no route" in text:
            raise StepweaveError(
                f"{self._url}: the server keeps its internal API closed; set a token in [server] "
                "and start it again, or stop it to work on its data directly"
            )
        return status, text


class _Local:
    """On the store, which this process holds meanwhile."""

    def __init__(self, runner: asyncio.Runner, store: SqliteStore, app: Starlette) -> None:
        self.store = store
        self._runner = runner
        self._app = app

    def send(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        """See _Way."""
        return self._runner.run(self._send(method, path, query, body))

    async def _send(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        status, text = 0, b""

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            nonlocal status, text
            status = message.get("status", status)
            text += message.get("body", b"")

        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"content-length", b"%d" % len(body))],
        }
        await self._app(scope, receive, send)
        return status, text


async def _open(runner: asyncio.Runner, project: Project) -> _Local:
    settings = project.settings
    store = SqliteStore(project.storage, settings.storage.durability)
    bus = Offline(store)
    routes = manage.routes(
        Ledger(store, bus), Letters(store, bus), Browser(store), settings.server.max_body
    )
    app = Starlette(routes=routes)
    app.routes.extend(manage_cron.routes(stopped.cron_of(project, store)))
    return _Local(runner, store, app)
