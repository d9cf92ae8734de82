"""A runner sends what is no frame: one line shows it, the runner is replaced, others go on."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flows.harness import Running, start

pytestmark = pytest.mark.anyio

CHILD = Path(__file__).parents[1] / "unit" / "scripted_child.py"
FAULTS = {
    "garbage": "a frame of 1 bytes is not one msgpack value",
    "wrong_shape": "{'hello': 'world'}",
    "text": "a line that somebody printed",
    "twice": "an answer to a request that is not open",
}


def step(name: str) -> str:
    """The config of a step of the scripted runner, which behaves as it is called."""
    config = {
        "type": "event",
        "name": name,
        "subscribes": [f"do.{name}"],
        "infrastructure": {"queue": {"maxRetries": 1}},
    }
    return json.dumps(config)


PROJECT = {
    "stepweave.toml": """
        [runners.script]
        path = "runner"
    """,
    "runner/runner.json": json.dumps(
        {
            "name": "script",
            "language": "script",
            "extensions": [".script"],
            "argv": [sys.executable, str(CHILD)],
        }
    ),
    "steps/fine.step.py": """
        config = {"type": "event", "name": "Fine", "subscribes": ["do.fine"]}
        async def handler(data, context):
            await context.state.set("fine", str(data), True)
    """,
    **{f"steps/{name}.step.script": step(name) for name in ("echo", "die", *FAULTS)},
}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with start(tmp_path, PROJECT) as it:
        assert [p for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_broken_frame_is_shown_in_one_line_and_its_runner_replaced(
    running: Running, fault: str
) -> None:
    pool = running.it.pools.pools["script"]
    python = running.it.pools.pools["python"].children[0].pid
    (before,) = pool.children
    await running.emit(f"do.{fault}", 1)
    for number in range(20):
        await running.emit("do.echo", number)
        await running.emit("do.fine", number)
    await running.settled()
    shown = "the script runner is replaced: it broke the protocol: "
    told = [message for message in running.messages if message.startswith(shown)]
    assert told and all(FAULTS[fault] in message for message in told), told
    assert before not in pool.children
    assert running.it.pools.pools["python"].children[0].pid == python
    assert len(await running.state("fine")) == 20
    dead = await running.dead()
    assert [letter.topic for letter in dead] == ([] if fault == "twice" else [f"do.{fault}"])
    assert len(told) == (dead[0].attempts if dead else 1), "one line for each runner that ended so"
    stats = running.it.bus.statistics()
    assert stats["delivered"] + stats["buried"] == 41


async def test_a_runner_that_ends_by_itself_says_its_last_words(running: Running) -> None:
    await running.emit("do.die", 1)
    await running.settled()
    (letter,) = await running.dead()
    assert "these are my last words" in letter.errors
    assert any("these are my last words" in message for message in running.messages)
