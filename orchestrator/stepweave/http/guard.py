"""Who may reach the internal pages and the JSON API: no other web page, no other host's name."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

__all__ = ["Guard"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Refuses requests that a foreign web page can cause (DNS rebinding, cross-site calls).

    In development a request must name this machine in Host, and in Origin if there is one.
    In production the internal API is closed unless a token is set, and then needs it.
    """

    def __init__(self, *, hosts: Iterable[str] = (), token: str | None, open: bool) -> None:
        self._hosts = _LOCAL | {host.lower() for host in hosts}
        self._token = token
        self._open = open

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """None when the request may pass, else the status and the reason."""
        if self._token is not None:
            given = headers.get("authorization", "")
            if hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                return None
            return 401, "this API needs the header Authorization: Bearer <token>"
        if not self._open:
            return 404, "Not found"
        host = _host(f"//{headers.get('host', '')}")
        if host not in self._hosts:
            return 403, f"the host {host!r} is not this server; use http://localhost"
        origin = headers.get("origin")
        if origin is not None and _host(origin) not in self._hosts:
            return 403, f"requests from {origin} are not allowed"
        return None


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
