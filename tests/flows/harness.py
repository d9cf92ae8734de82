"""Runs a project, given as a table of path and text, with its real runners, store and socket."""

from __future__ import annotations

import asyncio
import contextlib
import textwrap
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from stepweave import payload, serving
from stepweave.logs import LogHub, Record
from stepweave.orchestrator import Mode, Orchestrator
from stepweave.project import Project

__all__ = ["LIMIT_S", "Running", "start", "write"]

LIMIT_S = 60.0
"""How long a test waits for a condition before it gives up."""


_PATIENT = {
    f"STEPWEAVE_RUNNERS_{name}_START_TIMEOUT_S": "120" for name in ("NODE", "PYTHON", "RUBY")
}
"""For a machine whose disk stands still for a while."""


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Put files under a folder; texts are dedented."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(textwrap.dedent(content).lstrip("\n"))


class Running:
    """A project that serves; `http` speaks to it, `records` is all that was logged."""

    def __init__(self, it: Orchestrator, http: httpx.AsyncClient, records: list[Record]) -> None:
        self.it = it
        self.http = http
        self.records = records

    @property
    def messages(self) -> list[str]:
        """The messages logged so far."""
        return [record.message for record in self.records]

    async def state(self, group: str) -> dict[str, Any]:
        """A group of the state, decoded."""
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.it.store.state_list(group, lambda error, rows: found.set_result(rows))
        return {key: payload.decode(value) for key, value in await found}

    async def until(self, condition: Any, what: str = "the condition") -> None:
        """Wait until a function, plain or async, answers something true."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    answer = condition()
                    if asyncio.iscoroutine(answer):
                        answer = await answer
                    if answer:
                        return
                    await asyncio.sleep(0.01)
        except TimeoutError:
            last = "\n".join(self.messages[-20:])
            raise AssertionError(f"{what} did not come about; last records:\n{last}") from None

    async def settled(self) -> None:
        """Wait until every event has been handled or buried."""
        await self.until(lambda: self.it.bus.waiting == 0, "an empty bus")

    async def emit(self, topic: str, data: Any, **more: Any) -> str:
        """Publish from outside; returns when the event is durable."""
        return await self.it.publish(topic, payload.encode(data), **more)

    async def cron(self, step: str) -> str:
        """Run a cron step now; how it ended."""
        _trace_id, ended = self.it.cron.run_now(step)
        return (await ended).outcome.status

    async def dead(self) -> list[Any]:
        """The dead letters, newest first."""
        await self.it.store.apply(())
        return await self.it.store.dead()


class _Keep:
    def __init__(self, records: list[Record]) -> None:
        self._records = records

    def add_log(self, record: Record) -> None:
        self._records.append(record)


@contextlib.asynccontextmanager
async def start(
    root: Path,
    files: Mapping[str, str | bytes] | None = None,
    *,
    mode: Mode = "start",
    port: int = 0,
    **environment: str,
) -> AsyncIterator[Running]:
    """Write the files, open the project below `root` and serve it, on a free port or this one."""
    if files is not None:
        write(root, files)
    records: list[Record] = []
    project = Project.open(root, {"STEPWEAVE_SHUTDOWN_GRACE_S": "1", **_PATIENT, **environment})
    async with Orchestrator(project, mode, LogHub(_Keep(records))) as it:
        listener = serving.bind("127.0.0.1", port, search=False)
        ready = asyncio.Event()
        task = asyncio.create_task(it.serve(listener, lambda url: ready.set()))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        host, port = listener.getsockname()[:2]
        try:
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=LIMIT_S) as http:
                yield Running(it, http, records)
        finally:
            it.stop()
            await task
