"""From files to entries: asks the runners for each file's config and keeps what is good."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from stepweave import payload
from stepweave.errors import LoadFailed, RunnerUnavailable, StepweaveError
from stepweave.runners.pools import Pools
from stepweave.steps import failure
from stepweave.steps.discovery import SKIPPED
from stepweave.steps.model import Defaults, Entry, Found, Problem, Step
from stepweave.steps.parse import parse

__all__ = ["Loader"]

_ISOLATES = re.compile(r"""\bisolate["']?\s*(?::|=>?)\s*(?!false\b)""", re.IGNORECASE)


class Loader:
    """Loads files through the pools. One that fails never keeps another one from loading.

    A file with a previous entry that no longer loads keeps that entry's step.
    """

    def __init__(self, root: Path, pools: Pools, defaults: Defaults) -> None:
        self._root = root
        self._defaults = defaults
        self._pools = pools
        self._revisions: dict[str, int] = {}
        self._watched: dict[str, frozenset[str]] = {}

    async def load_all(
        self, found: Iterable[Found], previous: Mapping[str, Entry] | None = None
    ) -> dict[str, Entry]:
        """The entries of files by relpath, many loaded at once.

        When a runner dies of one file, the others that were on their way into it are loaded
        again one by one, so that only the culprit is reported.
        """
        known = previous or {}
        files = list(found)
        results = await asyncio.gather(*(self._load(each, known) for each in files))
        entries = {}
        for file, result in zip(files, results, strict=True):
            if isinstance(result, LoadFailed) and result.wire.get("type") == "RunnerGone":
                result = await self._load(file, known)
            if isinstance(result, LoadFailed):
                result = self.refused(file, result, known.get(file.relpath))
            entries[file.relpath] = result
        return entries

    def refused(self, found: Found, error: LoadFailed, previous: Entry | None) -> Entry:
        """The entry of a file that its runner would not load: the last good step, a new problem."""
        problem = failure.load_failed(found, error.wire, self._root)
        return _entry(found, previous, problem)

    def sources_of(self, found: Found) -> set[str]:
        """A step's file and what it imported when it was last loaded, as absolute paths."""
        return {str(found.path), *self._watched.get(found.relpath, ())}

    def files_of(self, paths: Iterable[str]) -> set[str]:
        """The paths, and for each folder the files in it, or what was imported from it.

        Of a folder that is moved, only its own path is told.
        """
        known = {file for files in self._watched.values() for file in files}
        files: set[str] = set()
        for path in paths:
            files.add(path)
            inside = path + os.sep
            files |= {file for file in known if file.startswith(inside)}
            for folder, names, held in os.walk(path):
                names[:] = [name for name in names if name not in SKIPPED and name[0] != "."]
                files |= {os.path.join(folder, name) for name in held}
        return files

    def leave(self, handle: str, language: str) -> None:
        """Give new children this file no more; it is gone."""
        self._watched.pop(handle, None)
        self._pools.leave(handle, language)

    async def unload(self, handle: str, language: str, revision: int | None = None) -> None:
        """Let the runner forget a file, or one revision of it."""
        await self._pools.unload(handle, language, revision)

    async def _load(self, found: Found, known: Mapping[str, Entry]) -> Entry | LoadFailed:
        previous = known.get(found.relpath)
        revision = self._revisions[found.relpath] = self._revisions.get(found.relpath, 0) + 1
        try:
            return await self._take(found, previous, revision)
        except RunnerUnavailable as error:
            reason = f"{found.language} steps are not available: {error}"
            return _entry(found, previous, failure.unavailable(found, reason))
        except LoadFailed as error:
            return error
        except StepweaveError as error:
            return LoadFailed({"code": "load_failed", "message": str(error)})

    async def _take(self, found: Found, previous: Entry | None, revision: int) -> Entry:
        """The entry of a file that its runner loads; raises what keeps it from that."""
        handle, language = found.relpath, found.language
        source = failure.read_source(found.path)
        # Only the config says so for certain, and to ask for it is to run the file.
        alone = found.what == "step" and bool(_ISOLATES.search(source or ""))
        loaded = await self._pools.load(handle, found.path, language, revision, alone=alone)
        config = payload.decode(loaded.config)
        self._watched[handle] = frozenset(loaded.watch)
        parsed = parse(
            found,
            config,
            loaded.exports,
            source=source,
            revision=revision,
            warnings=loaded.warnings,
            defaults=self._defaults,
        )
        if parsed.item is None:
            await self._pools.unload(handle, language, revision)
            kept = previous.item if previous is not None else None
            return Entry(found, kept, parsed.problems, source)
        if isinstance(parsed.item, Step):
            try:
                await self._pools.settle(parsed.item)
            except StepweaveError:
                await self._pools.unload(handle, language, revision)
                raise
        return Entry(found, parsed.item, parsed.problems, source)


def _entry(found: Found, previous: Entry | None, problem: Problem) -> Entry:
    kept = previous.item if previous is not None else None
    return Entry(found, kept, (problem,), failure.read_source(found.path))
