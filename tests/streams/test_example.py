"""The example live-orders: orders that move across a page."""

from __future__ import annotations

import asyncio
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
