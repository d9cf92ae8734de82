"""Which changes of files are told, and what happens where the system tells of none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepweave import watching
from stepweave.watching import Watch

pytestmark = pytest.mark.anyio


class Seen:
    """A watch on a folder, and what it has told so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notices: list[str] = []
        self.batches: list[set[str]] = []
        self.watch = Watch(root, lambda level, message: self.notices.append(message))

    async def until(self, *names: str) -> None:
        """Take batches until all these files were told."""
        wanted = {str(self.root / name) for name in names}
        async with asyncio.timeout(30):
            async for batch in self.watch:
                self.batches.append(batch)
                if wanted <= set().union(*self.batches):
                    return


@pytest.fixture
async def seen(tmp_path: Path) -> AsyncIterator[Seen]:
    made = Seen(tmp_path)
    await made.watch.open()
    yield made
    await made.watch.close()


async def test_files_of_the_project_are_told_and_those_of_others_are_not(seen: Seen) -> None:
    hidden = ("node_modules/x/a.js", ".stepweave/a.sqlite", "dist/a.js", "steps/__pycache__/a.pyc")
    for name in (*hidden, "steps/a.step.py", "services/deep/er.ts", "package.json"):
        path = seen.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    await seen.until("package.json")
    # A folder made just now may be told in place of what is in it.
    folders = {str(seen.root / name) for name in ("steps", "services")}
    told = set().union(*seen.batches)
    assert folders & told
    assert not [path for path in told if any(name in path for name in hidden)]
    (seen.root / "steps" / "a.step.py").write_text("y")
    await seen.until("steps/a.step.py")


async def test_what_changes_while_a_batch_is_worked_on_comes_as_one(seen: Seen) -> None:
    (seen.root / "first.py").write_text("x")
    await seen.until("first.py")
    names = [f"{number}.py" for number in range(5)]
    async with asyncio.timeout(30):
        for name in names:
            (seen.root / name).write_text("x")
            while str(seen.root / name) not in seen.watch._paths:
                await asyncio.sleep(0.005)
    before = len(seen.batches)
    await seen.until(*names)
    assert len(seen.batches) == before + 1


async def test_where_the_system_tells_nothing_the_files_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def awatch(root: Path, *, force_polling: bool | None, **more: Any) -> AsyncIterator[Any]:
        if not force_polling:
            raise OSError("OS file watch limit reached")
        return real(root, force_polling=True, poll_delay_ms=20, **more)

    real = watching.awatch
    monkeypatch.setattr(watching, "awatch", awatch)
    seen = Seen(tmp_path)
    await seen.watch.open()
    (tmp_path / "a.step.py").write_text("x")
    await seen.until("a.step.py")
    (notice,) = seen.notices
    assert "OS file watch limit reached" in notice
    await seen.watch.close()
