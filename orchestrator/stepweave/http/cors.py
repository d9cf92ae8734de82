"""CORS: pages of which other origins may use the routes, and what their browsers are told.

The steps' routes and static files only; the internal pages are never open to other origins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from stepweave.http.exchange import adding
from stepweave.http.response import Head, Reply, Send
from stepweave.project import SettingsError
from stepweave.project.settings import Cors as Rules

__all__ = ["Cors"]

_ENTRY = re.compile(r"(https?)://(\*\.)?([\w.-]+|\[[0-9a-f:.]+\])(:\d+|:\*)?", re.IGNORECASE)
_LOCAL = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?")
_NAMES = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:\s*,\s*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*")


class Cors:
    """The rules of `[cors]`. Raises SettingsError for rules that would open too much."""

    def __init__(self, rules: Rules, origins: Iterable[str]) -> None:
        origins = tuple(origins)
        self._any = "*" in origins
        self._patterns = [_pattern(origin) for origin in origins if origin != "*"]
        if self._any and rules.credentials:
            raise SettingsError(
                '[cors] credentials = true needs origins by name: with "*" every page on the web '
                "could act for whoever is signed in here"
            )
        self._methods = ", ".join(rules.methods).encode()
        self._headers = None if "*" in rules.headers else ", ".join(rules.headers).encode()
        self._max_age = b"%d" % int(rules.max_age_s)
        self._always: Head = [] if self._any else [(b"vary", b"origin")]
        self._granted: Head = []
        if rules.credentials:
            self._granted.append((b"access-control-allow-credentials", b"true"))
        self._exposed: Head = []
        if rules.expose:
            names = ", ".join(rules.expose).encode()
            self._exposed.append((b"access-control-expose-headers", names))

    @classmethod
    def make(cls, rules: Rules, *, development: bool) -> Cors | None:
        """The rules in force; None when no page of another origin may use the routes."""
        if rules.origins is not None:
            return cls(rules, rules.origins) if rules.origins else None
        return cls(rules, ("http://localhost:*",)) if development else None

    def preflight(self, headers: Iterable[tuple[bytes, bytes]]) -> Reply | None:
        """The answer to a browser that asks before it sends; None if this is no such question."""
        found = dict(headers)
        origin = found.get(b"origin")
        if origin is None or b"access-control-request-method" not in found:
            return None
        head: Head = [*self._always]
        allowed = self._allowed(origin)
        if allowed is not None:
            head += [(b"access-control-allow-origin", allowed), *self._granted]
            head.append((b"access-control-allow-methods", self._methods))
            asked = found.get(b"access-control-request-headers", b"")
            names = asked if self._headers is None else self._headers
            if names and _NAMES.fullmatch(names.decode("latin-1")):
                head.append((b"access-control-allow-headers", names))
            head.append((b"access-control-max-age", self._max_age))
        return Reply(204, head, b"")

    def lines(self, headers: Iterable[tuple[bytes, bytes]]) -> Head:
        """What the request's origin may know, as headers of its answer."""
        origin = next((value for name, value in headers if name == b"origin"), None)
        allowed = self._allowed(origin) if origin is not None else None
        if allowed is None:
            return self._always
        line = (b"access-control-allow-origin", allowed)
        return [*self._always, line, *self._granted, *self._exposed]

    def wrap(self, scope: Mapping[str, Any], send: Send) -> Send:
        """A `send` that adds what the request's origin may know. A handler's own headers win."""
        lines = self.lines(scope["headers"])
        return adding(lines, send) if lines else send

    def _allowed(self, origin: bytes) -> bytes | None:
        """What Access-Control-Allow-Origin says to this origin."""
        if self._any:
            return b"*"
        text = origin.decode("latin-1").lower()
        return origin if any(pattern.fullmatch(text) for pattern in self._patterns) else None


def _pattern(origin: str) -> re.Pattern[str]:
    """An origin of the settings: `https://shop.example`, `https://*.shop.example`, `…:*`."""
    found = _ENTRY.fullmatch(origin)
    if found is None:
        raise SettingsError(
            f'[cors] origins has "{origin}"; write origins such as "https://shop.example", '
            '"https://*.shop.example", "http://localhost:*", or "*" for all'
        )
    scheme, sub, host, port = found.groups()
    if host.lower() == "localhost" and port == ":*" and sub is None:
        return _LOCAL
    text = re.escape(f"{scheme}://".lower()) + (r"(?:[\w-]+\.)+" if sub else "")
    text += re.escape(host.lower())
    text += r"(?::\d+)?" if port == ":*" else re.escape(port or "")
    return re.compile(text)
