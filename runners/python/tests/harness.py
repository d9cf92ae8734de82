"""An orchestrator for one real runner: sends requests, answers context calls from memory."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stepweave_runner import frames, msgpack

RUNNER = Path(__file__).parents[1] / "stepweave_runner"
PATIENCE_S = 120
TRACE = f"00-{'0af7651916cd43dd8448eb211c80319c'}-b7ad6b7169203331-01"


class Refused(Exception):
    """The runner answered with an error; `wire` is its map."""

    def __init__(self, wire: dict[str, Any]) -> None:
        super().__init__(f"{wire['code']}: {wire['message']}")
        self.wire = wire
        self.code = wire["code"]


class Runner:
    """One child process. Its requests are answered by `serve`, which tests may replace."""

    def __init__(
        self,
        root: Path,
        *,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        window: int = 1000,
        max_frame: int = frames.MAX_FRAME,
    ) -> None:
        self.root = root
        self.window = window
        self.max_frame = max_frame
        self.logs: list[dict[str, Any]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.order: list[tuple[Any, ...]] = []
        """What came, in order: ("log", message), ("call", method), ("answer", id)."""
        self.state: dict[tuple[str, str], Any] = {}
        self.lines: list[str] = []
        self.serve: Callable[[str, dict[str, Any]], Any] = self.answer
        self.hello: dict[str, Any] = {}
        self._revisions: dict[str, int] = {}
        self._answers: dict[int, tuple[Any, Any]] = {}
        self._held: list[tuple[int, Any]] = []
        self._next_id = 0
        self._changed = threading.Condition()
        self._ended = False
        clean = {key: value for key, value in os.environ.items() if not key.startswith("COV_")}
        self.process = subprocess.Popen(
            [python, "-u", str(RUNNER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=root,
            env={**clean, **(env or {})},
        )
        self._writing = threading.Lock()
        self._threads = [
            threading.Thread(target=target, daemon=True) for target in (self._read, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    # --- what tests say

    def initialize(self, **more: Any) -> dict[str, Any]:
        params = {
            "protocol": [1, 1],
            "orchestrator": {"name": "test", "version": "0"},
            "root": str(self.root),
            "environment": "development",
            "max_frame": self.max_frame,
            "window": self.window,
            "capabilities": {},
            **more,
        }
        self.hello = self.request("initialize", params)
        return self.hello

    def load(self, path: str, revision: int | None = None) -> dict[str, Any]:
        """Load a file under its relative path as the handle; gives the answer, config decoded."""
        if revision is None:
            revision = self._revisions.get(path, 0) + 1
        self._revisions[path] = revision
        answer: dict[str, Any] = self.request(
            "load", {"step": path, "path": str(self.root / path), "revision": revision}
        )
        return {**answer, "config": json.loads(answer["config"][1])}

    def event(self, step: str, data: Any = None, **more: Any) -> Any:
        """Run an event step and give what its handler returned."""
        return value(self.wait(self.send_event(step, data, **more)))

    def send_event(self, step: str, data: Any = None, **more: Any) -> int:
        given = {"topic": "test", "data": payload(data), "event": "ev1"}
        return self.invoke(step, "event", given, **more)

    def api(self, step: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """Run an API step and give {status, headers, body} as it came."""
        given = {
            "method": "POST",
            "path": "/test",
            "params": {},
            "query": {},
            "headers": {},
            "body": None if body is None else payload(body),
            **more,
        }
        result: dict[str, Any] = self.wait(self.invoke(step, "api", given))
        return result

    def invoke(self, step: str, kind: str, given: dict[str, Any], **more: Any) -> int:
        params = {
            "step": step,
            "revision": self._revisions.get(step, 1),
            "kind": kind,
            "input": given,
            "trace": TRACE,
            "attempt": 1,
            **more,
        }
        return self.send("invoke", params)

    def request(self, method: str, params: dict[str, Any]) -> Any:
        return self.wait(self.send(method, params))

    def send(self, method: str, params: dict[str, Any]) -> int:
        self._next_id += 1
        self.write([0, self._next_id, method, params])
        return self._next_id

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self.write([2, method, params])

    def write(self, frame: Any) -> None:
        self.write_raw(frames.frame(msgpack.packb(frame)))

    def write_raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        with self._writing, contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def wait(self, id: int) -> Any:
        """The result of a request. Raises Refused, or EOFError when the runner is gone."""
        self.until(lambda: id in self._answers or self._ended)
        if id not in self._answers:
            raise EOFError(f"the runner left: {self.lines[-3:]}")
        error, result = self._answers[id]
        if error is not None:
            raise Refused(error)
        return result

    def answered(self, id: int) -> bool:
        return id in self._answers

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; looked at whenever the runner has said something."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), "waited in vain"

    def hold(self, method: str, params: dict[str, Any]) -> Any:
        """A `serve` that answers nothing until `release` is called."""
        return ...

    def release(self, result: Any = None) -> None:
        """Answer what was held."""
        held, self._held = self._held, []
        for id, _ in held:
            self.write([1, id, None, result])

    def messages(self, **like: Any) -> list[str]:
        """The messages of the log records that have these fields."""
        return [
            record["message"]
            for record in self.logs
            if all(record.get(key) == value for key, value in like.items())
        ]

    def stop_input(self) -> int:
        """Close the runner's input and give its exit code."""
        assert self.process.stdin is not None
        with self._writing:
            self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    # --- the orchestrator's side of context calls

    def answer(self, method: str, params: dict[str, Any]) -> Any:
        """Serve a context call from memory."""
        place = (params.get("group", ""), params.get("key", ""))
        if method == "emit":
            return {"event": f"ev-{params['topic']}"}
        if method == "state.get":
            return self.state.get(place)
        if method == "state.set":
            if "expect" in params and params["expect"] != self.state.get(place):
                raise Refused({"code": "conflict", "message": "another value is there"})
            self.state[place] = params["value"]
            return None
        if method == "state.delete":
            return self.state.pop(place, None)
        if method == "state.list":
            return [[key, item] for (group, key), item in self.state.items() if group == place[0]]
        raise Refused({"code": "unknown_method", "message": method})

    def _read(self) -> None:
        assert self.process.stdout is not None
        decoder = frames.Decoder(msgpack.unpackb)
        while True:
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            values = decoder.feed(data) if data else []
            with self._changed:
                for frame in values:
                    self._take(frame)
                self._ended = not data
                self._changed.notify_all()
            if not data:
                return

    def _take(self, frame: Any) -> None:
        if frame[0] == 1:
            assert frame[1] not in self._answers, f"answered twice: {frame}"
            self.order.append(("answer", frame[1]))
            self._answers[frame[1]] = (frame[2], frame[3])
        elif frame[0] == 2:
            self.order.append(("log", frame[2]["message"]))
            self.logs.append(frame[2])
        else:
            _, id, method, params = frame
            self.order.append(("call", method))
            self.asked.append((method, params))
            try:
                result = self.serve(method, params)
            except Refused as error:
                self._reply([1, id, error.wire, None])
                return
            if result is ...:
                self._held.append((id, params))
            else:
                self._reply([1, id, None, result])

    def _reply(self, frame: Any) -> None:
        # The reader never waits for the writer: not here either.
        threading.Thread(target=self.write, args=(frame,), daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line.decode().rstrip("\n"))
                self._changed.notify_all()


def payload(data: Any) -> list[Any]:
    """Test data as a payload; bytes as they are."""
    return ["bytes", data] if isinstance(data, bytes) else ["json", json.dumps(data).encode()]


def value(payload: Any) -> Any:
    """The value of a payload; None for none."""
    if payload is None:
        return None
    form, data = payload
    if form == "json":
        return json.loads(data)
    return msgpack.unpackb(data) if form == "msgpack" else data
