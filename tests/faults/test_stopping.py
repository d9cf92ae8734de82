"""Signals and second orchestrators: work ends in order, and nothing runs twice beside itself."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path

import httpx
import pytest

from tests.faults.server import Server, is_alive, ledger, started, until
from tests.faults.steps import NAMES, batches, events, project
from tests.flows.harness import write
from tests.flows.languages import LANGUAGES

# Note the begin, wait for a file called gate, note the end.
GATED = {
    "typescript": """
  const { appendFileSync, existsSync } = require('node:fs')
  appendFileSync('ledger', 'begun-%(id)s\\n')
  while (!existsSync('gate')) await new Promise((r) => setTimeout(r, 5))
  appendFileSync('ledger', 'ended-%(id)s\\n')""",
    "python": """
    import asyncio, os
    open('ledger', 'a').write('begun-%(id)s\\n')
    while not os.path.exists('gate'):
        await asyncio.sleep(0.005)
    open('ledger', 'a').write('ended-%(id)s\\n')""",
    "ruby": """
  File.write('ledger', "begun-%(id)s\\n", mode: 'a')
  sleep 0.005 until File.exist?('gate')
  File.write('ledger', "ended-%(id)s\\n", mode: 'a')""",
}
GATED["javascript"] = GATED["typescript"]
ANSWER = {
    "typescript": "\n  return { status: 200, body: 'in time' }",
    "javascript": "\n  return { status: 200, body: 'in time' }",
    "python": "\n    return {'status': 200, 'body': 'in time'}",
    "ruby": "\n  { status: 200, body: 'in time' }",
}
ONE_AT_A_TIME = {
    "typescript": "infrastructure: { queue: { concurrency: 1 } },",
    "javascript": "infrastructure: { queue: { concurrency: 1 } },",
    "python": '"infrastructure": {"queue": {"concurrency": 1}},',
    "ruby": "infrastructure: { queue: { concurrency: 1 } }",
}


def gated() -> dict[str, str]:
    """In each language an API step and an event step that wait for the gate."""
    files = project()
    for name, language in LANGUAGES.items():
        files[f"steps/ask_{name}{language.suffix}"] = language.api.format(
            name=f"Ask{name}",
            path=f"/ask/{name}",
            emits="",
            body=GATED[name] % {"id": f"ask-{name}"} + ANSWER[name],
        )
        files[f"steps/wait_{name}{language.suffix}"] = language.event.format(
            name=f"Wait{name}",
            subscribes=f"'note.{name}'",
            more=ONE_AT_A_TIME[name],
            body=GATED[name] % {"id": f"event-{name}"},
        )
    return files


class Asking(threading.Thread):
    """A request that is under way; `answer` is there once the thread has ended, or None."""

    def __init__(self, server: Server, path: str) -> None:
        super().__init__(daemon=True)
        self.answer: httpx.Response | None = None
        self._server = server
        self._path = path
        self.start()

    def run(self) -> None:
        """Ask and wait."""
        with contextlib.suppress(httpx.TransportError):
            self.answer = self._server.post(self._path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_work_finish_and_the_next_start_delivers_the_rest(
    tmp_path: Path, number: signal.Signals
) -> None:
    write(tmp_path, gated())
    sent = events(12)  # three for each language, one of which runs at a time behind the gate
    with started(tmp_path) as server:
        runners = server.runners
        asking = [Asking(server, f"/ask/{name}") for name in NAMES]
        assert server.post("/spread", sent).status_code == 202
        begun = {f"begun-{kind}-{name}" for kind in ("ask", "event") for name in NAMES}
        until(lambda: begun <= ledger(tmp_path).keys(), "the work")
        server.signal(number)
        until(lambda: any(f"{number.name}: stopping" in m for m in server.messages), "the word")
        assert server.process.poll() is None
        (tmp_path / "gate").touch()
        assert server.wait() == 0
        for each in asking:
            each.join()
            assert each.answer is not None and each.answer.text == "in time"
        until(lambda: not any(map(is_alive, runners)), "the end of the runners")
        assert not [r for r in server.records if r["level"] == "error"]
    seen = ledger(tmp_path)
    assert {seen[f"ended-{kind}-{name}"] for kind in ("ask", "event") for name in NAMES} == {1}
    with started(tmp_path) as server:
        until(
            lambda: all(ledger(tmp_path)[f"ended-event-{name}"] == 3 for name in NAMES), "the rest"
        )
        server.signal(number)
        assert server.wait() == 0
    assert all(ledger(tmp_path)[f"begun-event-{name}"] == 3 for name in NAMES)


def test_a_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    write(tmp_path, gated())
    with started(tmp_path) as server:
        runners = server.runners
        for name in NAMES:
            Asking(server, f"/ask/{name}")
        until(lambda: len(ledger(tmp_path)) == len(NAMES), "the work")
        server.signal(signal.SIGTERM)
        until(lambda: any("stopping" in message for message in server.messages), "the word")
        server.signal(signal.SIGINT)
        assert server.wait() == 130
        until(lambda: not any(map(is_alive, runners)), "the end of the runners")
    assert not any(line.startswith("ended") for line in ledger(tmp_path))


def test_work_that_will_not_end_is_left_after_the_grace_and_done_after_the_restart(
    tmp_path: Path,
) -> None:
    write(tmp_path, gated())
    with started(tmp_path, environment={"STEPWEAVE_SHUTDOWN_GRACE_S": "0.3"}) as server:
        server.post("/spread", events(4))
        until(lambda: sum(line.startswith("begun") for line in ledger(tmp_path)) == 4, "the work")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert not any(line.startswith("ended") for line in ledger(tmp_path))
    (tmp_path / "gate").touch()
    with started(tmp_path) as server:
        until(
            lambda: all(ledger(tmp_path)[f"ended-event-{name}"] == 1 for name in NAMES), "the rest"
        )


def test_a_second_orchestrator_on_a_project_refuses_and_harms_nobody(tmp_path: Path) -> None:
    write(tmp_path, project())
    with started(tmp_path) as first:
        with started(tmp_path, ready=False) as second:
            assert second.wait() == 1
            told = second.output.read_text()
            assert f"another Stepweave (process {first.process.pid}) runs this project" in told
            assert "STEPWEAVE_STORAGE_PATH" in told and "Traceback" not in told
        with started(tmp_path, environment={"STEPWEAVE_STORAGE_PATH": "other"}) as third:
            assert third.post("/spread", []).status_code == 202
        sent = events(40)
        for batch in batches(sent, 10):
            assert first.post("/spread", batch).status_code == 202
        until(lambda: len(ledger(tmp_path)) == 40, "the events")
