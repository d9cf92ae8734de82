"""Who may reach the internal pages and the JSON API: no other web page, no other host's name."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping

__all__ = ["Guard"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d+)?")
_ORIGIN = re.compile(f"https?://{_HOST.pattern}")


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
            scheme, _, given = headers.get("authorization", "").partition(" ")
            sent = given.strip().encode("latin-1", "replace")
            same = hmac.compare_digest(sent, self._token.encode())
            if same and scheme.lower() == "bearer":
                return None
            return 401, "this API needs the header Authorization: Bearer <token>"
        if not self._open:
            return 404, "Not found"
        host = headers.get("host", "")
        if _name(_HOST.fullmatch(host)) not in self._hosts:
            return 403, f'the host "{host}" is not known here; use localhost, or add it to hosts'
        origin = headers.get("origin")
        if origin is not None and _name(_ORIGIN.fullmatch(origin)) not in self._hosts:
            return 403, f"pages of {origin} may not use this API"
        return None


def _name(found: re.Match[str] | None) -> str | None:
    """The host of a matched authority, without brackets and port."""
    return found[1].strip("[]").lower() if found is not None else None
