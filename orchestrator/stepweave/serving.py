"""Running the ASGI application under uvicorn, on a socket that was bound before."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Generator
from typing import Any

import uvicorn

from stepweave.errors import UsageError
from stepweave.http.cork import CorkedProtocol

__all__ = ["Server", "bind", "make", "url_of"]

_TRIES = 10


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: whoever runs Stepweave decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


def make(app: Any, *, sockets: Any, grace_s: float, keep_alive_s: float = 65.0) -> Server:
    """A server for the application; requests under way have `grace_s` seconds at the end.

    `sockets` makes the protocol of a connection that becomes a WebSocket.
    """
    config = uvicorn.Config(
        app,
        loop="none",
        http=CorkedProtocol,
        ws=sockets,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=int(keep_alive_s),
        timeout_graceful_shutdown=max(1, round(grace_s)),
        backlog=2048,
    )
    return Server(config)


def bind(host: str, port: int, *, search: bool) -> socket.socket:
    """A listening socket on the port, or with `search` on one of the next nine if it is taken.

    Port 0 takes any free one. Raises UsageError that says what to do when none can be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, port + (_TRIES if search and port else 1)):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(2048)
        except OverflowError as error:
            listener.close()
            raise UsageError(f"port {candidate} is not a port; use 0 to 65535") from error
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise UsageError(f"{host}:{candidate} cannot be used: {error.strerror}") from error
            continue
        listener.setblocking(False)
        return listener
    last = port + _TRIES - 1 if search else port
    ports = f"ports {port} to {last} are" if search else f"port {port} is"
    raise UsageError(f"{ports} in use; choose another with --port")


def url_of(listener: socket.socket) -> str:
    """The URL that a person opens."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "127.0.0.1", "::", "::1"):
        host = "localhost"
    elif ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{port}"
