"""Running the ASGI application under uvicorn, on a socket that was bound before."""

from __future__ import annotations

import contextlib
import errno
import functools
import ipaddress
import socket
import ssl
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import uvicorn

from stepweave.errors import UsageError
from stepweave.http.limits import Limits
from stepweave.http.protocol import Protocol
from stepweave.project import SettingsError
from stepweave.project.settings import Server as Rules

__all__ = ["Server", "bind", "make", "url_of"]

_TRIES = 10


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: whoever runs Stepweave decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


def make(app: Any, settings: Rules, root: Path, *, sockets: Any, grace_s: float) -> Server:
    """A server for the application; requests under way have `grace_s` seconds at the end.

    `sockets` makes the protocol of a connection that becomes a WebSocket. Raises SettingsError
    when the certificate, its key or a proxy's address cannot be used.
    """
    limits = Limits(
        max_header=settings.max_header,
        max_connections=settings.max_connections,
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
        send_timeout_s=settings.send_timeout_s,
    )
    certificate, key = _tls(settings, root)
    config = uvicorn.Config(
        app,
        loop="none",
        http=cast(Any, functools.partial(Protocol, limits)),
        ws=sockets,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=_proxies(settings),
        server_header=False,
        date_header=True,
        timeout_keep_alive=cast(int, settings.keep_alive_s),
        timeout_graceful_shutdown=max(1, round(grace_s)),
        backlog=settings.backlog,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    return Server(config)


def _tls(settings: Rules, root: Path) -> tuple[str | None, str | None]:
    """The absolute paths of certificate and key, once they have proved to be usable."""
    if settings.tls_cert is None:
        if settings.tls_key is not None:
            raise SettingsError("[server] tls_key needs tls_cert, the certificate of that key")
        return None, None
    certificate = root / settings.tls_cert
    key = None if settings.tls_key is None else root / settings.tls_key
    for name, file in (("tls_cert", certificate), ("tls_key", key)):
        if file is not None and not file.is_file():
            raise SettingsError(f"[server] {name}: there is no file {file}")
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise SettingsError(
            f"[server] tls_cert and tls_key cannot be used together: {error}; "
            "they must be PEM files, the key without a passphrase"
        ) from error
    return str(certificate), None if key is None else str(key)


def _proxies(settings: Rules) -> list[str]:
    """The addresses and networks whose X-Forwarded headers are believed."""
    for address in settings.trusted_proxies:
        try:
            if address != "*":
                ipaddress.ip_network(address)
        except ValueError as error:
            raise SettingsError(
                f'[server] trusted_proxies has "{address}"; write an address such as "10.0.0.1" '
                'or a network such as "10.0.0.0/8"'
            ) from error
    return list(settings.trusted_proxies)


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


def url_of(listener: socket.socket, *, secure: bool = False) -> str:
    """The URL that a person opens; `secure` if it is served over TLS."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "127.0.0.1", "::", "::1"):
        host = "localhost"
    elif ":" in host:
        host = f"[{host}]"
    return f"{'https' if secure else 'http'}://{host}:{port}"
