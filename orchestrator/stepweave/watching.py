"""The files of a project that change, as batches of paths."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

__all__ = ["Watch"]

_IGNORED = ("node_modules", "venv", "python_modules", "dist", "__pycache__", "bower_components")


class _ProjectFilter(DefaultFilter):
    """Leaves out what is hidden, generated or belongs to somebody else."""

    def __init__(self, root: Path) -> None:
        super().__init__(ignore_dirs=(*DefaultFilter.ignore_dirs, *_IGNORED))
        self._root = root

    def __call__(self, change: Change, path: str) -> bool:
        relative = Path(path).relative_to(self._root) if path.startswith(str(self._root)) else None
        if relative is None:
            return False
        if any(part.startswith(".") and part != ".env" for part in relative.parts):
            return False
        return super().__call__(change, path)


class Watch:
    """Gathers changes from `open` on; iterating gives what has gathered, as absolute paths.

    So what changes while a batch is worked on comes as one batch afterwards. Where the system
    gives no notice of changes (too many files, a network drive), the files are looked at instead.
    """

    def __init__(self, root: Path, notice: Callable[[str, str], None]) -> None:
        self._root = root
        self._notice = notice
        self._paths: set[str] = set()
        self._some = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin; a change after this returns is not missed."""
        self._task = asyncio.get_running_loop().create_task(self._gather())
        # Its first step, up to its first wait, is what asks the system.
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop gathering."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def __aiter__(self) -> AsyncIterator[set[str]]:
        while True:
            await self._some.wait()
            self._some.clear()
            paths, self._paths = self._paths, set()
            yield paths

    async def _gather(self) -> None:
        try:
            await self._take(polling=None)
        except (OSError, RuntimeError) as error:
            self._notice(
                "warn", f"the system does not tell what changes ({error}); files are looked at"
            )
            await self._take(polling=True)

    async def _take(self, *, polling: bool | None) -> None:
        # watchfiles wants an event with is_set alone; asyncio's is looked at between its waits.
        async for batch in awatch(
            self._root,
            watch_filter=_ProjectFilter(self._root),
            debounce=50,
            step=10,
            stop_event=self._stopping,
            force_polling=polling,
        ):
            self._paths |= {path for _change, path in batch}
            self._some.set()
