"""The orchestrator is killed without warning, again and again: what was accepted is handled."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.faults.server import Server, is_alive, ledger, started, until
from tests.faults.steps import NAMES, batches, events, project
from tests.flows.harness import write
from tests.flows.languages import LANGUAGES

IN_FLIGHT = 64 * len(NAMES)
"""How many deliveries may run at once: what one kill makes run twice at the most."""


def left_in_store(root: Path) -> tuple[int, int]:
    """Deliveries that are not settled, and dead letters."""
    path = root / ".stepweave" / "stepweave.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as store:
        (waiting,) = store.execute("SELECT count(*) FROM deliveries").fetchone()
        (dead,) = store.execute("SELECT count(*) FROM dead").fetchone()
    return waiting, dead


def stop(server: Server) -> None:
    """End it as a person would."""
    server.process.terminate()
    assert server.wait() == 0


def test_a_kill_in_the_middle_of_a_thousand_events_loses_none(tmp_path: Path) -> None:
    write(tmp_path, project())
    sent = events(400, pause=20) + events(600, prefix="held", held=True)
    (tmp_path / "hold").touch()
    with started(tmp_path) as server:
        for batch in batches(sent, 50):
            assert server.post("/spread", batch).status_code == 202
        until(lambda: len(ledger(tmp_path)) > 200, "the first events")
        server.kill()
    (tmp_path / "hold").unlink()
    assert len(ledger(tmp_path)) <= 400
    wanted = {event["id"] for event in sent}
    with started(tmp_path) as server:
        until(lambda: set(ledger(tmp_path)) == wanted, "the other events")
        assert any("of the last run are taken up" in message for message in server.messages)
        stop(server)
    assert sum(ledger(tmp_path).values()) <= 1000 + IN_FLIGHT
    assert left_in_store(tmp_path) == (0, 0)


class Feeder(threading.Thread):
    """Sends batches of events until it is told to stop; `accepted` are those answered with 202."""

    def __init__(self, server: Server, prefix: str, accepted: set[str]) -> None:
        super().__init__(daemon=True)
        self.accepted = accepted
        self.over = threading.Event()
        self._server = server
        self._prefix = prefix

    def run(self) -> None:
        """Send until a request fails or there is enough."""
        for number, batch in enumerate(batches(events(400, prefix=self._prefix, pause=20), 8)):
            if self.over.is_set():
                return
            try:
                answer = self._server.post("/spread", batch)
            except httpx.TransportError:
                return
            assert answer.status_code == 202, (number, answer.text)
            self.accepted |= {event["id"] for event in batch}


@pytest.mark.parametrize("seed", [1])
def test_kills_at_random_moments_lose_nothing_that_was_accepted(tmp_path: Path, seed: int) -> None:
    write(tmp_path, project())
    dice = random.Random(seed)
    accepted: set[str] = set()
    for life in range(4):
        with started(tmp_path, ready=life != 2) as server:
            if life == 2:  # before it is up
                time.sleep(dice.uniform(0.3, 1.0))
                server.kill()
                continue
            feeder = Feeder(server, f"life{life}.", accepted)
            feeder.start()
            enough = len(ledger(tmp_path)) + dice.randrange(20, 200)
            until(lambda enough=enough: len(ledger(tmp_path)) >= enough, "some events")
            server.kill()
            feeder.join()
    assert accepted
    with started(tmp_path) as server:
        until(lambda: accepted <= set(ledger(tmp_path)), "what was accepted")
        stop(server)
    assert left_in_store(tmp_path) == (0, 0)


LOOPS = {
    "typescript": "  for (;;) {}",
    "python": "    while True: pass",
    "ruby": "  loop {}",
}


def test_no_runner_outlives_its_orchestrator_whatever_it_does(tmp_path: Path) -> None:
    files = {}
    for name, body in LOOPS.items():
        language = LANGUAGES[name]
        files[f"steps/{name}{language.suffix}"] = language.api.format(
            name=name, path=f"/{name}", emits="", body=f"{NOTE[name]}\n{body}"
        )
    write(tmp_path, files)
    with started(tmp_path) as server:
        runners = server.runners
        assert len(runners) == 3
        for name in LOOPS:
            threading.Thread(target=_ask, args=(server, name), daemon=True).start()
        until(lambda: set(ledger(tmp_path)) == set(LOOPS), "the loops")
        server.process.kill()
        until(lambda: not any(map(is_alive, runners)), "the end of the runners")


def test_a_runner_that_was_left_behind_is_ended_before_its_work_runs_anew(tmp_path: Path) -> None:
    write(tmp_path, project())
    with started(tmp_path) as first:
        runners = first.runners
        assert first.post("/spread", events(40, pause=100)).status_code == 202
        for runner in runners:  # frozen, they do not notice that their orchestrator is gone
            os.kill(runner, signal.SIGSTOP)
        first.process.kill()
        first.process.wait()
        assert all(map(is_alive, runners))
        with started(tmp_path) as second:
            assert not any(map(is_alive, runners))
            until(
                lambda: any("3 runners of the last run" in m for m in second.messages), "the record"
            )
            until(lambda: len(ledger(tmp_path)) == 40, "the events")


NOTE = {
    "typescript": "  require('node:fs').appendFileSync('ledger', 'typescript\\n')",
    "python": "    open('ledger', 'a').write('python\\n')",
    "ruby": "  File.write('ledger', \"ruby\\n\", mode: 'a')",
}


def _ask(server: Server, name: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        server.post(f"/{name}")


FIFO = """
import asyncio, os
config = {
    "type": "event", "name": "InOrder", "subscribes": ["in.order"],
    "infrastructure": {"queue": {"type": "fifo", "maxRetries": 5, "backoff": "fixed"}},
}
async def handler(data, context):
    await asyncio.sleep(0.005)
    file = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{data['group']}:{data['n']}\\n".encode())
    os.close(file)
"""
ORDERLY = """
config = {"type": "api", "name": "Orderly", "method": "POST", "path": "/orderly"}
async def handler(req, context):
    for event in req.body:
        id = f"{event['group']}:{event['n']}"
        await context.emit({
            "topic": "in.order", "data": event, "messageGroupId": event["group"], "id": id,
        })
    return {"status": 202}
"""


def test_order_within_groups_and_deduplication_outlive_kills(tmp_path: Path) -> None:
    write(tmp_path, {"steps/in_order.step.py": FIFO, "steps/orderly.step.py": ORDERLY})
    sent = [{"group": f"g{n % 3}", "n": n // 3} for n in range(150)]
    for enough in (30, 90):
        with started(tmp_path) as server:
            assert server.post("/orderly", sent).status_code == 202
            until(lambda enough=enough: len(ledger(tmp_path)) >= enough, "some events")
            server.kill()
    with started(tmp_path) as server:
        assert server.post("/orderly", sent).status_code == 202
        until(lambda: len(ledger(tmp_path)) == 150, "all events")
        stop(server)
    lines = (tmp_path / "ledger").read_text().split()
    assert len(lines) <= 150 + 2 * 3, "one of each group may have been under way at each kill"
    for group in ("g0", "g1", "g2"):
        numbers = [int(line.partition(":")[2]) for line in lines if line.startswith(group)]
        assert numbers == sorted(numbers)
    assert left_in_store(tmp_path) == (0, 0)
