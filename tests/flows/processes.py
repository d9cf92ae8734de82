"""Steps that tell which process they run in, in three languages, and what is known of those."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stepweave.runners.pool import Pool
from tests.flows.harness import Running, start, write
from tests.flows.languages import LANGUAGES

__all__ = [
    "DIES", "HANGS", "ISOLATED", "NAMES", "PID", "RUNNERS", "SLOW", "endpoint", "event", "own",
    "pid", "serving", "shared",
]  # fmt: skip

NAMES = ["typescript", "python", "ruby"]
RUNNERS = {"typescript": "node", "python": "python", "ruby": "ruby"}
PID = {
    "typescript": "  return { status: 200, body: String(process.pid) }",
    "python": "    import os; return {'status': 200, 'body': str(os.getpid())}",
    "ruby": "  { status: 200, body: Process.pid.to_s }",
}
SLOW = {
    "typescript": """
  await new Promise(r => setTimeout(r, 20)); await state.set('done', data.id, process.pid)""",
    "python": (
        "    import asyncio, os; await asyncio.sleep(0.02)\n"
        "    await state.set('done', data['id'], os.getpid())"
    ),
    "ruby": "  sleep 0.02; state.set('done', data['id'], Process.pid)",
}
DIES = {
    "typescript": "  process.kill(process.pid, 'SIGKILL')",
    "python": "    import os; os.kill(os.getpid(), 9)",
    "ruby": "  Process.kill(:KILL, Process.pid)",
}
HANGS = {
    "typescript": "  await new Promise(() => {})",
    "python": "    import asyncio; await asyncio.Event().wait()",
    "ruby": "  sleep",
}
ISOLATED = {
    "typescript": "infrastructure: { handler: { isolate: true } },",
    "python": '"infrastructure": {"handler": {"isolate": True}},',
    "ruby": "infrastructure: { handler: { isolate: true } },",
}


def endpoint(language: str, name: str, body: str, more: str = "") -> dict[str, str]:
    """An API step `<name>_<language>` at `POST /<language>/<name>`; `more` goes into its config."""
    spoken = LANGUAGES[language]
    text = spoken.api.format(
        name=f"{name}_{language}", path=f"/{language}/{name}", emits="", body=body
    )
    text = text.replace("emits:", f"{more} emits:").replace('"emits":', f'{more} "emits":')
    return {f"steps/{name}_{language}{spoken.suffix}": text}


def event(language: str, name: str, body: str, more: str = "") -> dict[str, str]:
    """An event step `<name>_<language>` for the topic `<name>.<language>`."""
    spoken = LANGUAGES[language]
    text = spoken.event.format(
        name=f"{name}_{language}", subscribes=f"'{name}.{language}'", more=more, body=body
    )
    return {f"steps/{name}_{language}{spoken.suffix}": text}


def shared(running: Running, language: str) -> Pool:
    """The pool of a language."""
    return running.it.pools.pools[RUNNERS[language]]


def own(running: Running, name: str) -> list[dict[str, Any]]:
    """What the status says of the pool that a step has for itself."""
    return [pool for pool in running.it.pools.statistics() if pool["step"] == name]


async def pid(running: Running, language: str, name: str) -> int:
    """The process that a step answers from which tells it."""
    answer = await running.http.post(f"/{language}/{name}")
    assert answer.status_code == 200, answer.text
    return int(answer.text)


@asynccontextmanager
async def serving(
    root: Path, files: Iterable[dict[str, str]], toml: str = "", *, dev: bool = False
) -> AsyncIterator[Running]:
    """A project of these files that serves without errors."""
    write(root, {"stepweave.toml": toml})
    for each in files:
        write(root, each)
    async with start(root, mode="dev" if dev else "start") as running:
        errors = [p for p in running.it.registry.all_problems if p.severity == "error"]
        assert errors == []
        yield running
