"""`dev` and `start` as processes: what they say, serve, reload, and how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

HI = """
config = {"type": "api", "name": "Hi", "method": "GET", "path": "/hi", "emits": []}

async def handler(req, context):
    context.logger.info("said hi")
    return {"status": 200, "body": {"hi": "there"}}
"""


class Server:
    """A running `stepweave`, and its output so far."""

    def __init__(self, *words: str, cwd: Path) -> None:
        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        env.pop("LOG_LEVEL", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stepweave", *words],
            cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.text = ""
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.text += line
                self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def says(self, pattern: str) -> re.Match[str]:
        """Wait until the output has this; fails with the output if it ends without."""
        with self._more:
            while (found := re.search(pattern, self.text)) is None:
                assert self._more.wait(120), self.text
                assert self._reader.is_alive() or re.search(pattern, self.text), self.text
            return found

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(120)
        self._reader.join()
        return code


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "hi.step.py").write_text(HI)
    return tmp_path


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()
        if server.process.stdout is not None:
            server._reader.join()
            server.process.stdout.close()


def get(url: str) -> object:
    with urlopen(Request(url)) as answer:
        return json.load(answer)


def test_dev_says_where_it_is_serves_reloads_and_ends(project: Path, servers: list[Server]) -> None:
    server = Server("dev", "--port", "0", cwd=project)
    servers.append(server)
    url = server.says(r"➜ (http://localhost:\d+)/\n")[1]
    server.says(r"1 step ready in \d+ ms")
    assert "GET     /hi  steps/hi.step.py" in server.text
    assert f"➜ {url}/_stepweave/  workbench" in server.text
    assert get(f"{url}/hi") == {"hi": "there"}
    server.says(r"INFO  [0-9a-f]{8} Hi said hi")

    (project / "steps" / "hi.step.py").write_text(HI.replace('"there"', '"again"'))
    server.says(r"➜ updated  steps/hi\.step\.py  Hi \(api\)")
    assert get(f"{url}/hi") == {"hi": "again"}

    assert server.end(signal.SIGINT) == 0
    server.says("SIGINT: stopping; running work may take 10 s")


def test_dev_takes_the_next_port_and_start_does_not(project: Path, servers: list[Server]) -> None:
    first = Server("dev", "--port", "0", cwd=project)
    servers.append(first)
    port = first.says(r"➜ http://localhost:(\d+)/\n")[1]

    refused = Server("start", "--port", port, cwd=project)
    servers.append(refused)
    assert refused.process.wait(120) == 2
    refused.says(f"port {port} is in use; choose another with --port")

    other = project / "other"
    (other / "steps").mkdir(parents=True)
    second = Server("dev", "--port", port, cwd=other)
    servers.append(second)
    second.says(f"⚠ port {port} is in use, so this is \\d+")
    second.says(r"write steps/hello\.step\.py")
    assert second.end() == 0
    assert first.end() == 0


def test_start_logs_json_for_those_who_collect_it(project: Path, servers: list[Server]) -> None:
    (project / "steps" / "bad.step.py").write_text("oops")
    server = Server("start", "--port", "0", "--json-logs", cwd=project)
    servers.append(server)
    url = server.says(r'"url":"(http://localhost:\d+)"')[1]
    server.says('"code":"load_failed"')
    get(f"{url}/hi")
    server.says('"said hi"')
    assert server.end() == 0

    lines = [json.loads(line) for line in server.text.splitlines()]
    ready, problem, said, ending = lines
    assert (ready["message"], ready["fields"]["steps"]) == ("ready", 1)
    assert problem["level"] == "error" and "steps/bad.step.py:1" in problem["message"]
    assert (said["step"], said["level"]) == ("Hi", "info")
    assert ending["message"].startswith("SIGTERM: stopping")
