"""Cron steps through crashes and restarts, with a real process that is killed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stepweave import cli
from tests.faults.server import Server, started, until
from tests.flows.harness import write

# It writes down the time it runs for and which try this is, and waits while there is a file "hold".
STEP = """
import asyncio, os

config = {{"type": "cron", "name": "{name}", "cron": "{cron}", "emits": [], {more}}}

async def handler(tick, context):
    file = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{name}:{{tick['scheduled']}}:{{context.attempt}}\\n".encode())
    os.close(file)
    {body}
    while os.path.exists("hold"):
        await asyncio.sleep(0.005)
"""


def project(
    root: Path, name: str = "Audit", *, cron: str = "* * * * * *", more: str = "", body: str = ""
) -> None:
    """Write a step that runs each second unless it is told otherwise."""
    text = STEP.format(name=name, cron=cron, more=more, body=body)
    write(root, {f"steps/{name.lower()}.step.py": text})


def runs(root: Path, name: str = "Audit") -> list[tuple[int, int]]:
    """Time and attempt of each run of a step that began, in order."""
    if not (root / "ledger").exists():
        return []
    lines = [line.split(":") for line in (root / "ledger").read_text().split()]
    return [(int(at), int(attempt)) for step, at, attempt in lines if step == name]


def killed_in_a_run(root: Path) -> int:
    """Kill a server in the middle of a run; the time of that run."""
    (root / "hold").touch()
    with started(root) as server:
        until(lambda: runs(root), "a run")
        server.kill()
    (root / "hold").unlink()
    ((at, attempt),) = runs(root)
    assert attempt == 1
    return at


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A command's output, which has to end with `code`."""

    def say(*words: str, code: int = 0) -> str:
        found = cli.main([*words, "--dir", str(tmp_path)])
        text = capsys.readouterr()
        assert found == code, text
        return text.out

    return say


def stopped(server: Server) -> None:
    """End it as a person would."""
    server.process.terminate()
    assert server.wait() == 0


def test_a_run_that_was_killed_is_run_again_once_after_the_restart(tmp_path: Path) -> None:
    project(tmp_path)
    at = killed_in_a_run(tmp_path)
    project(tmp_path, cron="0 0 1 1 *")
    with started(tmp_path) as server:
        until(lambda: (at, 2) in runs(tmp_path), "the second try")
        assert any("Audit had not ended its run" in text for text in server.messages)
        stopped(server)
    with started(tmp_path) as server:
        until(lambda: server.http.get("/_stepweave/health").json()["ready"], "the start")
        stopped(server)

    assert runs(tmp_path) == [(at, 1), (at, 2)]


def test_a_run_whose_runner_is_killed_is_tried_again(tmp_path: Path) -> None:
    die = "if context.attempt < 3: os.kill(os.getpid(), 9)"
    project(tmp_path, more='"overlap": False,', body=die)
    with started(tmp_path) as server:
        until(lambda: len(runs(tmp_path)) >= 3, "three tries")
        stopped(server)

    first = runs(tmp_path)[0][0]
    assert runs(tmp_path)[:3] == [(first, 1), (first, 2), (first, 3)]


def test_times_that_passed_while_nothing_ran_are_made_up_as_the_config_says(
    tmp_path: Path,
) -> None:
    names = {"Off": "False", "Once": "True", "All": "'all'"}
    for name, value in names.items():
        project(tmp_path, name, more=f'"catchUp": {value},')
    with started(tmp_path) as server:
        until(lambda: all(runs(tmp_path, name) for name in names), "a run of each")
        stopped(server)
    before = {name: [at for at, _attempt in runs(tmp_path, name)] for name in names}
    newest = max(times[-1] for times in before.values())
    until(lambda: time.time() * 1000 > newest + 3000, "some missed times")
    with started(tmp_path) as server:
        until(
            lambda: all(len(runs(tmp_path, name)) >= len(before[name]) + 5 for name in names),
            "runs after the start",
        )
        told = [text for text in server.messages if "while nothing ran" in text]
        stopped(server)

    for name in names:
        (text,) = [text for text in told if text.startswith(f"{name} missed ")]
        missed = int(text.split()[2])
        assert missed >= 3
        times = [at for at, _attempt in runs(tmp_path, name)]
        assert times == sorted(set(times)), "none is repeated"
        last = before[name][-1]
        made_up = [at for at in times if last < at <= last + missed * 1000]
        every = [last + n * 1000 for n in range(1, missed + 1)]
        assert made_up == {"Off": [], "Once": every[-1:], "All": every}[name]


def test_an_atomic_run_that_was_killed_leaves_nothing_and_ends_with_its_writes(
    tmp_path: Path, say: Callable[..., str]
) -> None:
    count = 'await context.state.increment("audit", "runs")'
    project(tmp_path, more='"atomic": True,', body=count)
    at = killed_in_a_run(tmp_path)
    project(tmp_path, cron="0 0 1 1 *", more='"atomic": True,', body=count)
    with started(tmp_path) as server:
        until(lambda: (at, 2) in runs(tmp_path), "the second try")
        stopped(server)
    assert runs(tmp_path) == [(at, 1), (at, 2)]

    assert json.loads(say("state", "get", "audit", "runs")) == 1


def test_a_pause_outlives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., str]
) -> None:
    monkeypatch.setenv("STEPWEAVE_SERVER_TOKEN", "s3cret")
    project(tmp_path)
    with started(tmp_path) as server:
        until(lambda: runs(tmp_path), "a run")
        say("cron", "pause", "Audit")
        stopped(server)
    before = len(runs(tmp_path))
    with started(tmp_path) as server:
        (job,) = json.loads(say("cron", "list", "--json"))["cron"]
        assert job["paused"]
        began = job["next"]

        def passed() -> bool:
            (job,) = json.loads(say("cron", "list", "--json"))["cron"]
            return bool(job["next"] > began + 1000)

        until(passed, "two times that pass")
        assert len(runs(tmp_path)) == before
        say("cron", "resume", "Audit")
        until(lambda: len(runs(tmp_path)) > before, "a run")
        stopped(server)


FAILS = """
config = {"type": "cron", "name": "Fails", "cron": "@yearly", "emits": []}

def handler(context):
    raise ValueError("no kibble")
"""


def test_a_step_is_run_now_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., str]
) -> None:
    monkeypatch.setenv("STEPWEAVE_SERVER_TOKEN", "s3cret")
    project(tmp_path, cron="@yearly")
    write(tmp_path, {"steps/fails.step.py": FAILS})
    (tmp_path / "hold").touch()
    with started(tmp_path) as server:
        assert "Audit runs\n  trace " in say("cron", "run", "Audit")
        until(lambda: runs(tmp_path), "the run")
        say("cron", "run", "Audit", code=1)
        (tmp_path / "hold").unlink()

        def ended() -> bool:
            (job, _) = json.loads(say("cron", "list", "--json"))["cron"]
            return job["last"] is not None and job["last"]["status"] == "ok"

        until(ended, "its end")
        assert say("cron", "run", "Audit", "--wait").startswith("Audit ok, ")
        text = say("cron", "run", "Fails", "--wait", code=1)
        assert "ValueError: no kibble" in text and "steps/fails.step.py:4 in handler" in text
        assert "no kibble" in say("cron", "list")
        stopped(server)
