"""The project's file that says who a client of the streams is: found, loaded, loaded again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from stepweave.errors import StepweaveError
from stepweave.http.access import Unauthenticated
from stepweave.steps.discovery import language_of

__all__ = ["StreamAuth"]

_CONFIG = "motia.config"
_OWN = "stream_auth"
_WORDS = (b"streamAuth", b"stream_auth")


class _Loaded(Protocol):
    @property
    def exports(self) -> tuple[str, ...]: ...
    @property
    def watch(self) -> tuple[str, ...]: ...


class _Pool(Protocol):
    async def load(self, handle: str, path: Path, revision: int) -> _Loaded: ...
    async def unload(self, handle: str, revision: int | None = None) -> None: ...


class _Pools(Protocol):
    @property
    def extensions(self) -> Mapping[str, str]: ...
    async def ensure(self, language: str) -> _Pool: ...


class StreamAuth:
    """The file of `[streams] auth`, else `stream_auth.*`, else a `motia.config.*` that has it.

    A file that should say who may come in and cannot be loaded lets nobody in; after an edit
    that does not load, the last good one goes on.
    """

    def __init__(
        self, root: Path, pools: _Pools, named: str | None, notice: Callable[[str, str], None]
    ) -> None:
        self._root = root
        self._pools = pools
        self._named = named
        self._notice = notice
        self._place: tuple[str, str] | None = None
        self._broken = False
        self._path: Path | None = None
        self._watched: frozenset[str] = frozenset()
        self._revision = 0

    @property
    def place(self) -> tuple[str, str] | None:
        """Handle and language of the file, or None when everybody is anonymous."""
        if self._broken:
            raise Unauthenticated(503, "Who you are cannot be checked now")
        return self._place

    async def load(self) -> None:
        """Find the file and load it."""
        self._path = path = self._find()
        if path is None:
            self._place, self._broken = None, False
            return
        handle = path.relative_to(self._root).as_posix()
        language = language_of(path.name, self._pools.extensions)
        try:
            if language is None:
                raise StepweaveError("no runner takes files of this kind")
            pool = await self._pools.ensure(language)
            self._revision += 1
            loaded = await pool.load(handle, path, self._revision)
        except StepweaveError as error:
            stays = self._place is not None and not self._broken
            then = "the last good one stays" if stays else "no client of a stream is let in"
            self._broken = not stays
            self._notice("error", f"{handle}: {error}; {then}")
            return
        self._watched = frozenset((str(path), *loaded.watch))
        self._broken = False
        if "streamAuth" in loaded.exports:
            self._place = handle, language
        elif self._named is not None or path.stem == _OWN:
            self._place, self._broken = None, True
            text = f"{handle}: exports no streamAuth; no client of a stream is let in"
            self._notice("error", text)
        else:
            self._place = None

    async def changed(self, paths: Iterable[str]) -> None:
        """Take up an edit of the file, or of what it imports."""
        changed = set(paths)
        if changed & self._watched or self._find() != self._path or self._broken:
            await self.load()

    def _find(self) -> Path | None:
        if self._named is not None:
            path = (self._root / self._named).resolve()
            return path if path.is_relative_to(self._root.resolve()) else self._root / "outside"
        suffixes = sorted(self._pools.extensions)
        for stem in (_OWN, _CONFIG):
            for suffix in suffixes:
                path = self._root / f"{stem}{suffix}"
                if path.is_file() and (stem == _OWN or _speaks_of_it(path)):
                    return path
        return None


def _speaks_of_it(path: Path) -> bool:
    """Whether a file that is mostly about other things is worth a runner."""
    try:
        text = path.read_bytes()
    except OSError:
        return False
    return any(word in text for word in _WORDS)
