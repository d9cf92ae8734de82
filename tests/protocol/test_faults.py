"""Copies of the Python runner with one planted fault each: the scenario meant for it must fail."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from stepweave import files
from tests.protocol.kit_runs import play

# How long to wait for a frame that the fault keeps back. A slow machine only makes it fail more.
LIMIT_S = 2.0


@dataclass(frozen=True)
class Fault:
    """`edits` are (file, text, replacement); `message` is part of what the kit says."""

    name: str
    scenario: str
    edits: tuple[tuple[str, str, str], ...]
    message: str = ""


FAULTS = (
    Fault(
        "descriptor 1 is not guarded",
        "stdout/prints-cannot-reach-the-wire",
        (("console.py", "    os.dup2(2, 1)\n", ""),),
        "did something print to the pipe?",
    ),
    Fault(
        "something prints before the guard",
        "handshake/initialize-is-answered",
        (
            (
                "__main__.py",
                "    reading, writing = ",
                '    os.write(1, b"starting\\n")\n    reading, writing = ',
            ),
        ),
        "the bytes are the text 'starting",
    ),
    Fault(
        "prints go to the wrong scope",
        "stdout/prints-become-records-of-the-step",
        (
            (
                "console.py",
                "scope = running.get()\n        if scope is not None and scope.closed:",
                "scope = None\n        if False:",
            ),
        ),
    ),
    Fault(
        "a wrong error code",
        "errors/an-unknown-step-is-refused",
        (("loader.py", '"unknown_step"', '"internal"'),),
        'at error.code: got "internal", expected "unknown_step"',
    ),
    Fault(
        "an invocation is answered twice",
        "invoke/an-event-handler-may-return-a-value",
        (
            (
                "invocations.py",
                "            self._peer.respond(scope.id, result)\n",
                "            self._peer.respond(scope.id, result)\n" * 2,
            ),
        ),
        "after the script: an unexpected frame [1, 1, null, ",
    ),
    Fault(
        "one invocation at a time",
        "invoke/invocations-run-side-by-side",
        (
            (
                "host.py",
                "    def invoke(self, id: int, params: dict[str, Any]) -> None:\n",
                "    def invoke(self, id: int, params: dict[str, Any]) -> None:\n"
                "        if self._invocations.running:\n"
                "            self._loop.call_later(0.01, self.invoke, id, params)\n"
                "            return\n",
            ),
        ),
        "nothing came for",
    ),
    Fault(
        "the reader waits for the writer",
        "window/the-reader-does-not-wait-for-the-writer",
        (
            (
                "connection.py",
                "for descriptor in (self._reading, self._writing):\n            os.set_blocking",
                "for descriptor in (self._reading,):\n            os.set_blocking",
            ),
        ),
        "the runner took no bytes",
    ),
    Fault(
        "all calls carry the newest scope",
        "invoke/invocations-that-arrive-at-once-keep-their-scopes",
        (
            ("scope.py", "        self.id = id\n", "        self.id = Scope.newest = id\n"),
            ("scope.py", 'params["scope"] = self.id', 'params["scope"] = Scope.newest'),
        ),
        "at params.scope",
    ),
    Fault(
        "the newest revision is always run",
        "reload/an-edit-gives-a-new-revision-beside-the-old",
        (("loader.py", "revisions.get(revision)", "revisions[max(revisions)]"),),
        "result.JSON.step: got 2, expected 1",
    ),
    Fault(
        "unload takes every revision",
        "reload/unload-takes-one-revision-or-all",
        (("loader.py", "if revision is None or not revisions:", "if True:"),),
    ),
    Fault(
        "changed files are not forgotten",
        "reload/an-edited-helper-reaches-its-importers",
        (("loader.py", "self.modules.forget(paths)", "[], False"),),
    ),
    Fault(
        "cancel is swallowed",
        "cancel/a-sleeping-handler-is-given-up",
        (("host.py", '{"cancel": self.cancel}', "{}"),),
        "nothing came for",
    ),
    Fault(
        "a context works after its handler",
        "invoke/a-context-fails-after-its-handler",
        (
            (
                "scope.py",
                "        if self.closed or self.cancelled is not None:\n            raise",
                "        if False:\n            raise",
            ),
        ),
        "emit",
    ),
    Fault(
        "a byte is lost",
        "payloads/bytes-stay-bytes",
        (("values.py", 'return ["bytes", bytes(value)]', 'return ["bytes", bytes(value)[:-1]]'),),
    ),
    Fault(
        "bytes inside a value become text",
        "payloads/bytes-inside-a-value-travel-as-msgpack",
        (("values.py", "cleaned = clean(value, keep)", "cleaned = clean(value, _base64)"),),
        "expected a msgpack payload",
    ),
    Fault(
        "text bodies are sent as json",
        "invoke/an-api-body-keeps-its-format*",
        (("results.py", 'body = ["text", ', 'body = ["json", '),),
    ),
    Fault(
        "the window is ignored",
        "window/a-runner-keeps-to-the-orchestrators-window",
        (("peer.py", "if self._queue or len(self._open) >= self.window:", "if False:"),),
        "emit",
    ),
    Fault(
        "the orchestrator's limit is ignored",
        "errors/a-result-too-large-is-an-error",
        (
            (
                "peer.py",
                "        if len(body) > self.max_frame:\n            self.refuse(id, self._over",
                "        if False:\n            self.refuse(id, self._over",
            ),
        ),
    ),
    Fault(
        "records come after the answer",
        "log/every-level-arrives-in-order-before-the-answer",
        (
            (
                "peer.py",
                "self.connection.post(self.connection.send, ",
                "self.loop.call_later(0.02, self.connection.send, ",
            ),
        ),
        "came before",
    ),
    Fault(
        "new work is taken while stopping",
        "shutdown/nothing-new-is-taken",
        (("host.py", "self._stopping = True", "self._stopping = False"),),
    ),
    Fault(
        "the end of the input is not noticed",
        "shutdown/end-of-file-is-enough",
        (
            (
                "connection.py",
                "            self._ended(None)\n            return\n",
                "            self._loop.remove_reader(self._reading)\n            return\n",
            ),
        ),
        "the runner still runs",
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_fails_its_scenario(fault: Fault, tmp_path: Path) -> None:
    package = tmp_path / "stepweave_runner"
    source = files.path("runners", "python", "stepweave_runner")
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text, replacement in fault.edits:
        path = package / name
        before = path.read_text()
        assert text in before, f"{name} has changed; plant the fault {fault.name!r} anew"
        path.write_text(before.replace(text, replacement))
    # A few show only where the runner is not slower than who speaks to it.
    for _ in range(5):
        done = play(
            [sys.executable, "-u", str(package)],
            files.path("protocol", "fixtures", "python"),
            fault.scenario,
            limit_s=LIMIT_S,
        )
        if done.failures and fault.message in done.text:
            break
    assert done.failures, f"{fault.scenario} does not notice: {fault.name}"
    assert fault.message in done.text
