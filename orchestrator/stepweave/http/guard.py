"""Who may reach the internal pages and the JSON API: no other web page, no other host's name."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping

__all__ = ["Guard"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d+)?")
_ANYWHERE = frozenset({"0.0.0.0", "::"})


class Guard:
    """Refuses requests that a foreign web page can cause (DNS rebinding, cross-site calls).

    In development a request must name this machine in Host. Its Origin, if there is one, must be
    the same, port included, since another port is another's page, or a name among `hosts`.
    In production the internal API is closed unless a token is set, and then needs it. With the
    `key` of this run, which commands find in the project's storage, it is open to them.
    """

    def __init__(
        self,
        *,
        hosts: Iterable[str] = (),
        token: str | None,
        open: bool,
        key: str | None = None,
    ) -> None:
        named = {host.lower() for host in hosts}
        self._hosts = _LOCAL | named
        self._origins = named - _LOCAL - _ANYWHERE
        self._token = token
        self._open = open
        self._key = key

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """None when the request may pass, else the status and the reason."""
        sent = _bearer(headers)
        if self._key is not None and sent and hmac.compare_digest(sent, self._key.encode()):
            return None
        if self._token is not None:
            if hmac.compare_digest(sent, self._token.encode()):
                return None
            return 401, "this API needs the header Authorization: Bearer <token>"
        if not self._open:
            return 404, "Not found"
        host = headers.get("host", "").lower()
        if _name(host) not in self._hosts:
            return 403, f'the host "{host}" is not known here; use localhost, or add it to hosts'
        origin = headers.get("origin")
        if origin is not None:
            scheme, _, place = origin.lower().partition("://")
            known = place == host or _name(place) in self._origins
            if scheme not in ("http", "https") or not known:
                return 403, f"pages of {origin} may not use this API"
        return None


def _bearer(headers: Mapping[str, str]) -> bytes:
    """What the request sends as its token, empty for none."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip().encode("latin-1", "replace") if scheme.lower() == "bearer" else b""


def _name(authority: str) -> str | None:
    """The host of an authority, without brackets and port; None if it is none."""
    found = _HOST.fullmatch(authority)
    return found[1].strip("[]") if found is not None else None
