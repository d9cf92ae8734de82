"""Handlers that throw, hang, exit, flood or are killed: clear errors, nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flows.harness import Running, start
from tests.flows.languages import LANGUAGES

pytestmark = pytest.mark.anyio

NAMES = list(LANGUAGES)

BODIES = {
    "typescript": {
        "throws": "  throw new RangeError('out of kibble')",
        "hangs": "  await new Promise(() => {})",
        "exits": "  process.exit(5)",
        "prints": """
  console.log('a line'); process.stdout.write('x'.repeat(10_000_000) + '\\n')
  return { status: 200, body: 'printed' }""",
        "cycle": "  const a: any = {}; a.self = a; return { status: 200, body: a }",
        "shape": "  return 'not a response'",
        "fine": "  return { status: 200, body: { ok: true } }",
        "slow": """
  const { existsSync } = require('node:fs')
  while (!existsSync('gate')) await new Promise((done) => setTimeout(done, 10))
  await state.set('done', data.id, 1)""",
    },
    "python": {
        "throws": "    raise KeyError('out of kibble')",
        "hangs": "    import asyncio; await asyncio.Event().wait()",
        "exits": "    import os; os._exit(5)",
        "prints": """
    import sys
    print('a line'); sys.stdout.write('x' * 10_000_000 + '\\n')
    return {'status': 200, 'body': 'printed'}""",
        "cycle": "    a = {}; a['self'] = a\n    return {'status': 200, 'body': a}",
        "shape": "    return 'not a response'",
        "fine": "    return {'status': 200, 'body': {'ok': True}}",
        "slow": (
            "    import asyncio, os\n"
            "    while not os.path.exists('gate'): await asyncio.sleep(0.01)\n"
            "    await state.set('done', data['id'], 1)"
        ),
    },
    "ruby": {
        "throws": "  raise IndexError, 'out of kibble'",
        "hangs": "  sleep",
        "exits": "  exit!(5)",
        "prints": """
  puts 'a line'; $stdout.write('x' * 10_000_000 + "\\n")
  { status: 200, body: 'printed' }""",
        "cycle": "  a = {}; a['self'] = a; { status: 200, body: a }",
        "shape": "  'not a response'",
        "fine": "  { status: 200, body: { ok: true } }",
        "slow": "  sleep 0.01 until File.exist?('gate'); state.set('done', data['id'], 1)",
    },
}
BODIES["javascript"] = {
    **BODIES["typescript"],
    "cycle": "  const a = {}; a.self = a; return { status: 200, body: a }",
}


LIMIT = "infrastructure: { handler: { timeout: 1 } }"
PYTHON_LIMIT = '"infrastructure": {"handler": {"timeout": 1}}'


def project() -> dict[str, str]:
    files = {}
    for name, language in LANGUAGES.items():
        for what, body in BODIES[name].items():
            if what == "slow":
                text = language.event.format(
                    name=f"Slow{name}", subscribes=f"'slow.{name}'", more="", body=body
                )
            else:
                text = language.api.format(
                    name=f"{what}_{name}", path=f"/{name}/{what}", emits="", body=body
                )
            if what == "hangs":
                text = text.replace("emits:", f"{LIMIT}, emits:")
                text = text.replace('"emits":', f'{PYTHON_LIMIT}, "emits":')
            files[f"steps/{what}_{name}{language.suffix}"] = text
    return files


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    environment = {
        f"STEPWEAVE_RUNNERS_{name}_CANCEL_GRACE_S": "0.5" for name in ("NODE", "PYTHON", "RUBY")
    }
    async with start(tmp_path, project(), mode="dev", **environment) as it:
        assert [str(p) for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it


async def fine(running: Running, language: str) -> bool:
    answer = await running.http.post(f"/{language}/fine")
    return answer.json() == {"ok": True}


@pytest.mark.parametrize("language", NAMES)
async def test_what_a_bad_handler_does_to_its_caller(running: Running, language: str) -> None:
    thrown = await running.http.post(f"/{language}/throws")
    assert thrown.status_code == 500
    body = thrown.json()
    assert "out of kibble" in body["message"]
    assert body["frames"][0]["file"].endswith(f"throws_{language}{LANGUAGES[language].suffix}")
    assert any("out of kibble" in message for message in running.messages)

    for what in ("cycle", "shape"):
        answer = await running.http.post(f"/{language}/{what}")
        assert answer.status_code == 500, what
        assert answer.json()["message"]
    assert await fine(running, language)

    printed = await running.http.post(f"/{language}/prints")
    assert (printed.status_code, printed.text) == (200, "printed")
    assert "a line" in running.messages

    late = await running.http.post(f"/{language}/hangs")
    assert late.status_code == 504
    assert "did not answer within 1 s" in late.json()["error"]
    assert await fine(running, language)

    gone = await running.http.post(f"/{language}/exits")
    assert gone.status_code == 503
    assert "left with exit code 5" in gone.json()["error"]
    assert await fine(running, language)


@pytest.mark.parametrize("language", NAMES)
async def test_a_runner_killed_in_the_middle_of_a_hundred_events_loses_none(
    running: Running, language: str
) -> None:
    pool = running.it.pools.pools["node" if "script" in language else language]
    (child,) = pool.children
    await asyncio.gather(*(running.emit(f"slow.{language}", {"id": str(n)}) for n in range(100)))
    await running.until(lambda: len(child.calls) > 20, "calls in flight")
    os.kill(child.pid, signal.SIGKILL)
    (running.it.project.root / "gate").touch()
    others = [name for name in NAMES if name != language and "script" not in name + language]
    for other in others:
        assert await fine(running, other)
    await running.settled()
    assert set(await running.state("done")) == {str(n) for n in range(100)}
    assert await running.dead() == []
    assert pool.restarts >= 1
