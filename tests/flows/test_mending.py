"""A failed event is mended from the command line, beside the server that runs the project."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flows.harness import LIMIT_S, write

FILES = {
    "steps/shop.step.py": """
        config = {
            "type": "api", "name": "Shop", "method": "POST", "path": "/orders",
            "emits": ["order"],
        }

        async def handler(req, context):
            await context.emit({"topic": "order", "data": req.body})
            return {"status": 202}
        """,
    "steps/pay.step.py": """
        config = {
            "type": "event", "name": "Pay", "subscribes": ["order"], "emits": [],
            "infrastructure": {"queue": {"maxRetries": 0}},
        }

        async def handler(order, context):
            if order["amount"] < 0:
                raise ValueError("no such amount")
            await context.state.set("paid", order["id"], order["amount"])
        """,
}


class Terminal:
    """A person's terminal in the project's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *words: str, code: int = 0, **environment: str) -> str:
        """What the command says; it must end with this code."""
        done = subprocess.run(
            [sys.executable, "-m", "stepweave", *words],
            cwd=self.root, env={**os.environ, **environment}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def json(self, *words: str, **environment: str) -> Any:
        return json.loads(self.run(*words, "--json", **environment))

    @contextlib.contextmanager
    def serving(self, command: str, **environment: str) -> Iterator[str]:
        """A server of the project; its URL."""
        process = subprocess.Popen(
            [sys.executable, "-m", "stepweave", command, "--port", "0", "--json-logs"],
            cwd=self.root, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if (record := json.loads(line))["message"] == "ready":
                    break
            note = json.loads((self.root / ".stepweave" / "server.json").read_text())
            assert note.pop("key") and note.pop("folder")
            assert note == {"url": record["fields"]["url"], "pid": process.pid}
            yield note["url"]
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            assert process.wait() == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        assert not (self.root / ".stepweave" / "server.json").exists()

    def forget_key(self) -> None:
        """Leave the note of a server as those see it who may not know its key."""
        path = self.root / ".stepweave" / "server.json"
        note = json.loads(path.read_text())
        del note["key"]
        path.write_text(json.dumps(note))

    def until(self, *words: str, has: Any) -> None:
        """Wait until the command prints this JSON value."""
        limit = time.monotonic() + LIMIT_S
        while has != (found := self._value(*words)):
            assert time.monotonic() < limit, f"{words} says {found}"

    def _value(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "stepweave", *words],
            cwd=self.root, capture_output=True, text=True,
        )  # fmt: skip
        return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    write(tmp_path, FILES)
    return Terminal(tmp_path)


def order(url: str, id: str, amount: int) -> None:
    answer = httpx.post(f"{url}/orders", json={"id": id, "amount": amount}, timeout=LIMIT_S)
    assert answer.status_code == 202


def test_a_dead_letter_is_shown_mended_and_handled(terminal: Terminal) -> None:
    with terminal.serving("dev") as url:
        order(url, "o-1", -5)
        order(url, "o-2", -7)
        limit = time.monotonic() + LIMIT_S
        while len(found := terminal.json("events", "dead")["dead"]) < 2:
            assert time.monotonic() < limit, found
        ids = {json.loads(letter["data"])["id"]: str(letter["id"]) for letter in found}

        text = terminal.run("events", "show", ids["o-1"])
        assert "ValueError: no such amount" in text
        assert "steps/pay.step.py:8 in handler" in text
        assert '"amount": -5' in text

        mended = '{"id": "o-1", "amount": 5}'
        text = terminal.run("events", "retry", ids["o-1"], "--data", mended)
        assert text.startswith(f"dead letter {ids['o-1']} delivered anew as event ")
        terminal.until("state", "get", "paid", "o-1", has=5)
        assert [str(it["id"]) for it in terminal.json("events", "dead")["dead"]] == [ids["o-2"]]

        terminal.run("state", "set", "paid", "o-1", "6")
        assert terminal.json("state", "list", "paid")["values"][0]["value"] == 6

    text = terminal.run("events", "retry", ids["o-2"], "--data", '{"id": "o-2", "amount": 7}')
    assert "waits for the next start" in text
    with terminal.serving("dev"):
        terminal.until("state", "get", "paid", "o-2", has=7)


def test_production_lets_in_its_own_user_and_those_with_the_token(terminal: Terminal) -> None:
    with terminal.serving("start") as url:
        assert terminal.json("events", "dead")["dead"] == []
        assert httpx.get(f"{url}/_stepweave/api/dead", timeout=LIMIT_S).status_code == 404
    with terminal.serving("start", STEPWEAVE_SERVER_TOKEN="s3cret") as url:
        assert terminal.json("state", "groups")["groups"] == []
        for token, status in (("s3cret", 200), ("wrong", 401)):
            headers = {"authorization": f"Bearer {token}"}
            answer = httpx.get(f"{url}/_stepweave/api/dead", headers=headers, timeout=LIMIT_S)
            assert answer.status_code == status


def test_who_cannot_read_the_key_needs_the_token(terminal: Terminal) -> None:
    with terminal.serving("start"):
        terminal.forget_key()
        text = terminal.run("events", "dead", code=1)
        assert "keeps its internal API closed" in text and "[server]" in text
    with terminal.serving("start", STEPWEAVE_SERVER_TOKEN="s3cret"):
        terminal.forget_key()
        text = terminal.run("state", "groups", code=1, STEPWEAVE_SERVER_TOKEN="wrong")
        assert "wants another token" in text and "wrong" not in text
        assert terminal.json("state", "groups", STEPWEAVE_SERVER_TOKEN="s3cret")["groups"] == []
