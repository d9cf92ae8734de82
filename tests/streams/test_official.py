"""The official clients, unmodified, in Node and in a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepweave import serving
from tests.flows.harness import LIMIT_S, Running, start
from tests.streams.client import change
from tests.streams.node import OFFICIAL, chromium, run
from tests.streams.project import FILES, GUARDS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("packages")]

NODE_CLIENTS = ["@motiadev/stream-client-node", "older-node"]
AUTH = """
export const streamAuth = {
  contextSchema: { user: 'string' },
  authenticate: async ({ headers }: any) => {
    const user = (headers['sec-websocket-protocol'] ?? '').split(',')[1]?.trim()
    return user ? { user } : null
  },
}
"""


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A project with a guarded stream and who its users are."""
    path, text = GUARDS["python"]
    files = {**FILES, path: text, "motia.config.ts": AUTH}
    async with start(tmp_path_factory.mktemp("official"), files) as it:
        await change(it, ["set", "python", "ann", "a", {"text": "hers"}])
        yield it


def base(running: Running) -> str:
    return str(running.http.base_url).rstrip("/")


@pytest.mark.parametrize("client", NODE_CLIENTS)
async def test_the_node_client_sees_what_happens(running: Running, client: str) -> None:
    await run("node.mjs", client, base(running), f"of {client}")


async def test_the_node_client_is_let_in_by_its_token(running: Running) -> None:
    await run("node.mjs", NODE_CLIENTS[0], base(running), "", "guarded")


async def test_the_clients_for_browsers_and_react_see_what_happens(running: Running) -> None:
    names = ("newest", "oldest", "newest hooks", "oldest hooks", "guarded", "event source")
    output = await run("browser.mjs", chromium(), base(running), *names)
    assert [line for line in output.splitlines() if line.startswith("passed")] == [
        f"passed: {name}" for name in names
    ]


@pytest.mark.parametrize("client", NODE_CLIENTS)
async def test_the_node_client_comes_back_after_a_restart(tmp_path: Path, client: str) -> None:
    # None that the system gives to others while the server is away.
    probe = serving.bind("127.0.0.1", random.randrange(20_000, 30_000), search=True)
    port = probe.getsockname()[1]
    probe.close()
    async with start(tmp_path, FILES, port=port) as it:
        await change(it, ["set", "board", "g", "a", {"n": 1}])
        script = [str(OFFICIAL / "reconnect.mjs"), client, f"ws://127.0.0.1:{port}", "g"]
        process = await asyncio.create_subprocess_exec(
            "node", *script, stdout=asyncio.subprocess.PIPE
        )
        await states(process, 1)
        # The client ends with its first connection that is refused, so it sleeps meanwhile.
        process.send_signal(signal.SIGSTOP)
    try:
        async with start(tmp_path, FILES, port=port) as it:
            process.send_signal(signal.SIGCONT)
            await change(it, ["set", "board", "g", "a", {"n": 2}])
            await states(process, 2)
            await change(it, ["set", "board", "g", "a", {"n": 3}])
            await states(process, 3)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def states(process: asyncio.subprocess.Process, n: int) -> None:
    """Read until both the group and the item are at a number."""
    seen: dict[str, Any] = {}
    wanted = {"id": "a", "n": n}
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        while seen != {"group": [wanted], "item": wanted}:
            what, state = json.loads(await process.stdout.readline())
            if state:
                items = state if isinstance(state, list) else [state]
                clean = [{key: item[key] for key in ("id", "n")} for item in items]
                seen[what] = clean if what == "group" else clean[0]
