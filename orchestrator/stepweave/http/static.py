"""Files of the project's folders, served where no step answers."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from stepweave.http.finish import Finish
from stepweave.http.identity import identity
from stepweave.http.request import headers
from stepweave.http.response import Reply, Send, identify, send_reply
from stepweave.project import SettingsError

__all__ = ["Static"]

_MOST_PACKED = 8 << 20
"""Bytes; larger files are sent as they are."""

_INDEX = "index.html"
# What Python's own table lacks, or lacked until lately.
_TYPES = {
    ".avif": "image/avif",
    ".js": "text/javascript",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
_RANGE = r"(?:\d{1,30}-\d{0,30}|-\d{1,30})"
_RANGES = re.compile(rf"bytes={_RANGE}(?:\s*,\s*{_RANGE})*".encode(), re.IGNORECASE)
_Found = tuple[str, os.stat_result]


class Static:
    """Folders by the path under which they are served; the longest path that fits counts.

    Files and folders whose name begins with a dot are not there, nor is what a link leads to
    outside of its folder. Raises SettingsError for a folder that does not exist.
    """

    def __init__(
        self, root: Path, folders: Mapping[str, str], max_age_s: float, finish: Finish
    ) -> None:
        self._finish = finish
        self._folders = []
        for prefix in sorted(folders, key=len, reverse=True):
            folder = root / folders[prefix]
            if not folder.is_dir():
                raise SettingsError(f"[server] static: there is no folder {folder}")
            self._folders.append((prefix.rstrip("/"), os.path.realpath(folder)))
        fresh = f"public, max-age={int(max_age_s)}" if max_age_s else "no-cache"
        self._headers = {"cache-control": fresh, "x-content-type-options": "nosniff"}

    async def serve(self, scope: Mapping[str, Any], receive: Any, send: Send) -> bool:
        """Answer a GET or HEAD if there is a file for it; whether there was."""
        path: str = scope["path"]
        for prefix, folder in self._folders:
            if path == prefix or path.startswith(f"{prefix}/"):
                rest = path[len(prefix) + 1 :]
                found = await anyio.to_thread.run_sync(_find, folder, rest)
                if found is not None:
                    await self._answer(found, path, scope, receive, send)
                    return True
        return False

    async def _answer(
        self, found: _Found, path: str, scope: Mapping[str, Any], receive: Any, send: Send
    ) -> None:
        name, facts = found
        trace_id, request_id = identity(scope["headers"])
        response: Response
        if name.endswith(os.sep):
            raw = scope["raw_path"].decode("latin-1")
            query = scope["query_string"].decode("latin-1")
            response = RedirectResponse(f"{raw}/?{query}" if query else f"{raw}/")
        else:
            kind = _TYPES.get(os.path.splitext(name)[1].lower())
            response = FileResponse(name, stat_result=facts, media_type=kind)
            response.headers.update(self._headers)
            if _CONDITIONS.is_not_modified(response.headers, Headers(raw=list(scope["headers"]))):
                response = NotModifiedResponse(response.headers)
            elif self._finish.packs(facts.st_size) and facts.st_size <= _MOST_PACKED:
                asked = headers(scope["headers"])
                if "range" not in asked:
                    body = await anyio.to_thread.run_sync(Path(name).read_bytes)
                    response.headers["content-length"] = str(len(body))
                    reply = Reply(200, response.raw_headers, body)
                    reply = await self._finish.finish(reply, "", asked)
                    only_head = scope["method"] == "HEAD"
                    await send_reply(send, reply, trace_id, request_id, head_only=only_head)
                    return

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                identify(message["headers"], trace_id, request_id)
            await send(message)

        await response(_understood(scope), receive, sending)  # type: ignore[arg-type]


_CONDITIONS = StaticFiles(check_dir=False)


def _understood(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The request without a Range that is none of bytes, which counts as not asked for."""
    head = [
        (name, value)
        for name, value in scope["headers"]
        if name != b"range" or _is_range(value.strip())
    ]
    return {**scope, "headers": head}


def _is_range(value: bytes) -> bool:
    if not _RANGES.fullmatch(value):
        return False
    ends = (part.strip().split(b"-") for part in value[6:].split(b","))
    return all(not first or not last or int(first) <= int(last) for first, last in ends)


def _find(folder: str, rest: str) -> _Found | None:
    """The file for a decoded path below a folder; its name ends in a slash if one is missing."""
    parts = rest.split("/")
    listing = parts[-1] == ""
    if listing:
        parts.pop()
    if any(not part or part[0] == "." or "\\" in part or "\0" in part for part in parts):
        return None
    name = os.path.realpath(os.path.join(folder, *parts))
    if name != folder and not name.startswith(folder.rstrip(os.sep) + os.sep):
        return None
    facts = _facts(name)
    if facts is None or (listing and not stat.S_ISDIR(facts.st_mode)):
        return None
    if stat.S_ISDIR(facts.st_mode):
        index = _find(folder, "/".join((*parts, _INDEX)))
        if index is None or listing or not parts:
            return index
        return f"{name}{os.sep}", facts
    return (name, facts) if stat.S_ISREG(facts.st_mode) else None


def _facts(name: str) -> os.stat_result | None:
    try:
        return os.stat(name)
    except (OSError, ValueError):
        return None
