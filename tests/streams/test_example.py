"""The example live-orders: orders that move across a page."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from tests.flows.harness import start
from tests.streams.node import chromium, run

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("packages")]

EXAMPLE = Path(__file__).parents[2] / "examples" / "live-orders"


async def test_orders_move_across_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVE_ORDERS_PACE", "0.01")
    build = await asyncio.create_subprocess_exec("npm", "run", "build", "--silent", cwd=EXAMPLE)
    assert await build.wait() == 0, "its packages are missing: scripts/setup examples"
    async with start(EXAMPLE, STEPWEAVE_STORAGE_PATH=str(tmp_path)) as running:
        await run("board.mjs", chromium(), str(running.http.base_url))


async def test_the_smoke_run_passes_in_a_tree_where_nothing_was_built() -> None:
    shutil.rmtree(EXAMPLE / "dist", ignore_errors=True)
    pipe = asyncio.subprocess.PIPE
    smoke = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE.parent / "smoke.py", stdout=pipe, stderr=pipe
    )
    output, errors = await smoke.communicate()
    assert smoke.returncode == 0, errors.decode()
    assert "smoke: one order passed through 4 languages" in output.decode()
    assert "smoke: one order was seen live" in output.decode()
