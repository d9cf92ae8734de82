"""Hot reload: which steps a change of files reaches, and the swap to their new code."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from stepweave.errors import LoadFailed, StepweaveError
from stepweave.loading import Loader
from stepweave.runners.pool import Pool, ReplaceFailed
from stepweave.runners.pools import Pools
from stepweave.steps.model import Entry, Found

__all__ = ["Reloader"]

UNLOAD_AFTER_S = 5.0
"""How long an old revision stays for calls that were on their way to it."""

_STUCK_AFTER_S = 2.0
_LOOKS = 25
_LOOK_AGAIN_S = 0.02
_COARSE_NS = 10_000_000
"""How far the time of a file may be behind the clock."""


class Reloader:
    """Brings the loaded steps up to the files on disk; what runs finishes on its old code.

    A runner that does not say what a change reaches, because a handler keeps it busy, is
    replaced. One whose new children cannot load what the old ones run stays as it is; what it
    has not taken up is remembered, and taken up with the change that mends it.
    """

    def __init__(
        self,
        pools: Pools,
        loader: Loader,
        discover: Callable[[], Iterable[Found]],
        notice: Callable[[str, str], None] = lambda level, message: None,
    ) -> None:
        self._pools = pools
        self._loader = loader
        self._discover = discover
        self._notice = notice
        self._owed: dict[Pool, set[str]] = {}
        self._unloading: set[asyncio.Task[None]] = set()

    async def apply(self, paths: set[str], entries: dict[str, Entry]) -> dict[str, Entry] | None:
        """The entries after a change of these files, or None when it touches no step."""
        paths = self._loader.files_of(paths)
        found = {file.relpath: file for file in self._discover()}
        paths |= _links_to(paths, found.values())
        gone = entries.keys() - found.keys()
        for relpath in gone:
            self._loader.leave(relpath, entries[relpath].found.language)
        stale = {
            relpath
            for relpath, file in found.items()
            if str(file.path) in paths or _may_be_mended(entries.get(relpath))
        }
        reached, failures = await self._forget(paths)
        refused = {
            handle: self._loader.refused(found[handle], error, entries.get(handle))
            for handle, error in failures.items()
            if handle in found
        }
        stale = (stale | reached & found.keys()) - refused.keys()
        if not stale and not gone and not refused:
            return None
        fresh = await self._load([found[each] for each in sorted(stale)], entries)
        self._retire(entries, fresh, gone)
        kept = {relpath: entry for relpath, entry in entries.items() if relpath not in gone}
        return {**kept, **fresh, **refused}

    def close(self) -> None:
        """Drop what is left to unload; the runners end anyway."""
        for task in self._unloading:
            task.cancel()

    async def _forget(self, paths: set[str]) -> tuple[set[str], dict[str, LoadFailed]]:
        """Make the runners forget what changed: the steps that reach it, and what new children
        would not load."""
        answers = await asyncio.gather(*(self._forget_in(pool, paths) for pool in self._pools.all))
        reached: set[str] = set()
        failures: dict[str, LoadFailed] = {}
        for handles, refused in answers:
            reached |= handles
            failures |= refused
        return reached, failures

    async def _forget_in(
        self, pool: Pool, paths: set[str]
    ) -> tuple[set[str], dict[str, LoadFailed]]:
        owed = self._owed.pop(pool, set())
        wanted = owed | {path for path in paths if self._pools.concerns(pool.name, path)}
        if not wanted:
            return set(), {}
        handles: list[str] = []
        try:
            try:
                async with asyncio.timeout(_STUCK_AFTER_S):
                    handles, restart = await pool.changed(sorted(wanted))
            except TimeoutError:
                self._notice("warn", f"the {pool.launch.title} is busy and is replaced")
                restart = True
            if restart:
                await pool.replace_all()
                handles = handles or pool.handles
        except ReplaceFailed as error:
            self._owed[pool] = wanted
            if waiting := ", ".join(each for each in handles if each not in error.failures):
                broken = ", ".join(error.failures)
                self._notice("warn", f"{waiting}: its new code waits until {broken} can be loaded")
            return set(), dict(error.failures)
        except StepweaveError:
            # It died; whoever comes next has read the files anew, and may give other configs.
            return set(pool.handles), {}
        return set(handles), {}

    async def _load(self, files: list[Found], entries: dict[str, Entry]) -> dict[str, Entry]:
        """Load files, again while something that they are made of is being written.

        Many editors empty a file before they fill it, and an empty helper is often good code.
        """
        fresh: dict[str, Entry] = {}
        for _ in range(_LOOKS):
            began = time.time_ns()
            loaded = await self._loader.load_all(files, entries)
            self._retire(fresh, loaded, ())
            fresh |= loaded
            unsettled = [
                (file, moving)
                for file in files
                if (moving := _written_since(began, self._loader.sources_of(file)))
            ]
            if not unsettled:
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
            files = [file for file, _ in unsettled]
            await self._forget(set().union(*(moving for _, moving in unsettled)))
        return fresh

    def _retire(
        self, entries: dict[str, Entry], fresh: dict[str, Entry], gone: Iterable[str]
    ) -> None:
        """Unload old revisions a little later, when no call that waits can still mean them."""
        old: list[tuple[str, str, int]] = []
        for relpath in (*fresh, *gone):
            before, after = entries.get(relpath), fresh.get(relpath)
            if before is None or before.item is None:
                continue
            if after is None or after.item is not before.item:
                old.append((relpath, before.found.language, before.item.revision))
        if old:
            task = asyncio.get_running_loop().create_task(self._unload_later(old))
            self._unloading.add(task)
            task.add_done_callback(self._unloading.discard)

    async def _unload_later(self, old: list[tuple[str, str, int]]) -> None:
        await asyncio.sleep(UNLOAD_AFTER_S)
        for relpath, language, revision in old:
            await self._loader.unload(relpath, language, revision)


def _links_to(paths: set[str], found: Iterable[Found]) -> set[str]:
    """Steps that are links to one of the files, which may be anywhere in the project."""
    return {str(file.path) for file in found if os.path.realpath(file.path) in paths}


def _written_since(began: int, paths: Iterable[str]) -> set[str]:
    """Those of the files that were written after a moment (Unix ns), or are empty and new."""
    found = set()
    for path in paths:
        try:
            status = Path(path).stat()
        except OSError:
            continue
        age_ns = began - status.st_mtime_ns
        if age_ns < _COARSE_NS or (status.st_size == 0 and age_ns < 100 * _COARSE_NS):
            found.add(path)
    return found


def _may_be_mended(entry: Entry | None) -> bool:
    """Whether any change may be the one that makes this file good."""
    return entry is None or any(problem.severity == "error" for problem in entry.problems)
