"""Fixtures of the Python runner's tests: projects as tables of files, and real child processes."""

from __future__ import annotations

import asyncio
import builtins
import importlib
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from runners.python.tests.harness import Runner
from stepweave_runner import modules, scope
from stepweave_runner.context import Context

Write = Callable[[Mapping[str, str]], Path]
Run = Callable[[Callable[[Context, Any], Awaitable[None]]], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a table of path and content into the project's folder and gives the folder."""

    def write(files: Mapping[str, str]) -> Path:
        for path, content in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(content), encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def start(write: Write) -> Iterator[Callable[..., Runner]]:
    """Starts a runner for a table of files, loads its step files and ends it after the test."""
    started: list[Runner] = []

    def start(files: Mapping[str, str], **options: Any) -> Runner:
        root = write(files)
        runner = Runner(root, **options)
        started.append(runner)
        runner.initialize()
        for path in files:
            if path.endswith(("step.py", "stream.py")):
                runner.load(path)
        return runner

    yield start
    for runner in started:
        runner.end()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[modules.Modules]:
    """The modules of a project at tmp_path, in this very process, which is cleaned afterwards."""
    before = (builtins.__import__, importlib.import_module, sys.meta_path[:], sys.path[:])
    loaded = set(sys.modules)
    watched = modules.Modules(str(tmp_path))
    watched.install()
    yield watched
    builtins.__import__, importlib.import_module = before[0], before[1]
    sys.meta_path[:], sys.path[:] = before[2], before[3]
    for name in set(sys.modules) - loaded:
        del sys.modules[name]


class FakePeer:
    """Answers context calls at once from a table of method and result, and keeps what was asked."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.records: list[dict[str, Any]] = []
        self.results: dict[str, Any] = {}
        self.errors: dict[str, dict[str, Any]] = {}

    def request(self, method: str, params: dict[str, Any], answer: Any, asker: Any) -> None:
        self.asked.append((method, params))
        answer.settle(self.errors.get(method), self.results.get(method))

    def log(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def post(self, function: Callable[..., Any], *args: Any) -> None:
        self.loop.call_soon_threadsafe(function, *args)


@pytest.fixture
def new_scope() -> Callable[[], scope.Scope]:
    """Makes a scope on a FakePeer; to be called where a loop runs."""

    def new_scope() -> scope.Scope:
        peer: Any = FakePeer()
        trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
        return scope.Scope(7, peer, "steps/a.step.py", trace, ["main"], {"attempt": 2})

    return new_scope


@pytest.fixture
def run(new_scope: Callable[[], scope.Scope]) -> Run:
    """Runs a test with a context and the peer behind it."""

    def run(test: Callable[[Context, Any], Awaitable[None]]) -> None:
        async def main() -> None:
            made = new_scope()
            await test(Context(made), made.peer)

        asyncio.run(main())

    return run
