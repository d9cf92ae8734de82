"""Hot reload: what changed on disk, which steps that reaches, and the swap to their new code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

from stepweave.errors import LoadFailed, StepweaveError
from stepweave.loading import Loader
from stepweave.runners.pool import Pool, ReplaceFailed
from stepweave.runners.pools import Pools
from stepweave.steps.model import Entry, Found

__all__ = ["Reloader", "changes"]

_UNLOAD_AFTER_S = 5.0
_IGNORED = ("node_modules", "venv", "python_modules", "dist", "__pycache__", "bower_components")


class _ProjectFilter(DefaultFilter):
    """Leaves out what is hidden, generated or belongs to somebody else."""

    def __init__(self, root: Path) -> None:
        super().__init__(ignore_dirs=(*DefaultFilter.ignore_dirs, *_IGNORED))
        self._root = root

    def __call__(self, change: Change, path: str) -> bool:
        relative = Path(path).relative_to(self._root) if path.startswith(str(self._root)) else None
        if relative is None or any(part.startswith(".") for part in relative.parts):
            return False
        return super().__call__(change, path)


async def changes(root: Path, stop: asyncio.Event) -> AsyncIterator[set[str]]:
    """Absolute paths of the project's files that changed, in batches, until `stop` is set."""
    # watchfiles wants an event with is_set alone; asyncio's is looked at between its waits.
    async for batch in awatch(
        root, watch_filter=_ProjectFilter(root), debounce=50, step=10, stop_event=stop
    ):
        yield {path for _change, path in batch}


class Reloader:
    """Brings the loaded steps up to the files on disk; what runs finishes on its old code."""

    def __init__(
        self,
        pools: Pools,
        loader: Loader,
        discover: Callable[[], Iterable[Found]],
    ) -> None:
        self._pools = pools
        self._loader = loader
        self._discover = discover
        self._unloading: set[asyncio.Task[None]] = set()

    async def apply(self, paths: set[str], entries: dict[str, Entry]) -> dict[str, Entry] | None:
        """The entries after a change of these files, or None when it touches no step."""
        found = {file.relpath: file for file in self._discover()}
        gone = entries.keys() - found.keys()
        stale = {
            relpath
            for relpath, file in found.items()
            if str(file.path) in paths or _may_be_mended(entries.get(relpath))
        }
        refused: dict[str, Entry] = {}
        for pool in list(self._pools.pools.values()):
            reached, failures = await _invalidate(pool, paths)
            stale |= reached & found.keys()
            for handle, error in failures.items():
                if handle in found:
                    refused[handle] = self._loader.refused(
                        found[handle], error, entries.get(handle)
                    )
        stale -= refused.keys()
        if not stale and not gone and not refused:
            return None
        fresh = await self._loader.load_all((found[each] for each in sorted(stale)), entries)
        self._retire(entries, fresh, gone)
        kept = {relpath: entry for relpath, entry in entries.items() if relpath not in gone}
        return {**kept, **fresh, **refused}

    def close(self) -> None:
        """Drop what is left to unload; the runners end anyway."""
        for task in self._unloading:
            task.cancel()

    def _retire(
        self, entries: dict[str, Entry], fresh: dict[str, Entry], gone: Iterable[str]
    ) -> None:
        """Unload old revisions a little later, when no call that waits can still mean them."""
        old: list[tuple[str, str, int | None]] = []
        for relpath in (*fresh, *gone):
            before = entries.get(relpath)
            after = fresh.get(relpath)
            if before is None or before.item is None:
                continue
            if after is None:
                old.append((relpath, before.found.language, None))
            elif after.item is not before.item:
                old.append((relpath, before.found.language, before.item.revision))
        if old:
            task = asyncio.get_running_loop().create_task(self._unload_later(old))
            self._unloading.add(task)
            task.add_done_callback(self._unloading.discard)

    async def _unload_later(self, old: list[tuple[str, str, int | None]]) -> None:
        await asyncio.sleep(_UNLOAD_AFTER_S)
        for relpath, language, revision in old:
            await self._loader.unload(relpath, language, revision)


async def _invalidate(pool: Pool, paths: set[str]) -> tuple[set[str], Mapping[str, LoadFailed]]:
    """Make a runner forget what changed: the steps that reach it, and what new children refuse."""
    try:
        handles, restart = await pool.changed(sorted(paths))
        if restart and handles:
            await pool.replace_all()
    except ReplaceFailed as error:
        return set(), error.failures
    except StepweaveError:
        return set(), {}
    return set(handles), {}


def _may_be_mended(entry: Entry | None) -> bool:
    """Whether any change may be the one that makes this file load."""
    if entry is None:
        return True
    codes = ("load_failed", "runner_gone", "unavailable")
    return any(problem.code in codes for problem in entry.problems)
