"""Other interpreters and codecs: bare Pythons of each version, a lent msgpack, none at all."""

from __future__ import annotations

import importlib.machinery
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from runners.python.tests.harness import Refused, Runner, payload, value

Start = Callable[..., Runner]

STEPS = {
    "steps/a.step.py": """
        import sys
        from .lib.greeting import greet
        from steps.lib.greeting import greet as again
        from services.shout import shout
        assert greet is again
        config = {"type": "event", "name": "A", "input": {"name": str}}
        async def handler(data, context):
            print("async", data["name"])
            await context["state"].set("g", "k", {"raw": b"\\x00"})
            got = await context.state.get("g", "k")
            context.emit({"topic": "t", "data": data})
            return [shout(greet(data["name"])), got["data"]["raw"].hex(), "msgpack" in sys.modules]
    """,
    "steps/b_step.py": """
        config = {"type": "event", "name": "B"}
        def handler(data, context):
            print("plain", data)
            if data == "loop":
                while True:
                    pass
            return context.state.get("g", "k")["n"] + data
    """,
    "steps/c.step.py": """
        config = {"type": "api", "name": "C"}
        async def handler(req, context):
            raise ValueError(req.body)
    """,
    "steps/lib/greeting.py": "def greet(name):\n    return 'hello ' + name\n",
    "services/shout.py": "def shout(text):\n    return text.upper()\n",
}


def interpreters() -> list[str]:
    """Every Python from 3.9 on that this machine has, one of each minor version."""
    found: dict[str, str] = {}
    homes = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    candidates = [str(path) for home in homes for path in sorted(home.glob("3.*/bin/python"))]
    candidates += [path for minor in range(9, 15) if (path := shutil.which(f"python3.{minor}"))]
    for candidate in candidates:
        done = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        version = done.stdout.strip()
        if done.returncode == 0 and tuple(map(int, version.split("."))) >= (3, 9):
            found.setdefault(version, candidate)
    return list(found.values()) or [sys.executable]


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: Path(path).parts[-3])
def test_a_bare_interpreter_runs_steps_of_every_kind(python: str, start: Start) -> None:
    runner = start(STEPS, python=python)
    assert runner.event("steps/a.step.py", {"name": "ann"})[:2] == ["HELLO ANN", "00"]
    runner.state["g", "k"] = payload({"n": 4})
    assert runner.event("steps/b_step.py", 3) == 7
    assert runner.messages(source="stdout") == ["async ann", "plain 3"]
    with pytest.raises(Refused) as refused:
        runner.api("steps/c.step.py", body={"n": 1})
    assert refused.value.wire["frames"] == [
        {"file": str(runner.root / "steps/c.step.py"), "line": 4, "function": "handler"}
    ]
    stuck = runner.send_event("steps/b_step.py", "loop")
    runner.until(lambda: "plain loop" in runner.messages())
    runner.notify("cancel", {"id": stuck, "reason": "client"})
    with pytest.raises(Refused, match="cancelled"):
        runner.wait(stuck)
    changed = runner.request("changed", {"paths": [str(runner.root / "steps/lib/greeting.py")]})
    assert changed["steps"] == ["steps/a.step.py"]
    assert runner.request("shutdown", {"grace_ms": 1000}) is None
    assert runner.stop_input() == 0


def bare() -> str:
    """The interpreter under this virtual environment, if it has no msgpack of its own."""
    base = str(getattr(sys, "_base_executable", sys.executable))
    done = subprocess.run([base, "-c", "import msgpack"], capture_output=True, check=False)
    if done.returncode == 0:
        pytest.skip(f"{base} has a msgpack of its own")
    return base


def test_the_orchestrators_codec_is_used_under_a_name_of_the_runners(start: Start) -> None:
    lent = str(Path(msgpack.__file__).parents[1])
    runner = start(STEPS, python=bare(), env={"STEPWEAVE_MSGPACK": lent})

    assert runner.event("steps/a.step.py", {"name": "ann"}) == ["HELLO ANN", "00", False]
    assert runner.messages(source="logger") == []


@pytest.mark.parametrize("lent", ["nowhere", "other version", "broken"])
def test_without_a_compiled_codec_the_cure_is_told_once(
    lent: str, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "lent"
    (folder / "msgpack").mkdir(parents=True)
    if lent == "other version":
        (folder / "msgpack" / "_cmsgpack.cpython-27-other.so").touch()
    if lent == "broken":
        (folder / "msgpack" / "__init__.py").write_text("from ._cmsgpack import Packer\n")
        suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
        (folder / "msgpack" / f"_cmsgpack{suffix}").write_bytes(b"no library")
    runner = start(STEPS, python=bare(), env={"STEPWEAVE_MSGPACK": str(folder)})

    assert runner.event("steps/a.step.py", {"name": "ann"}) == ["HELLO ANN", "00", False]
    notices: list[dict[str, Any]] = [log for log in runner.logs if "pip install" in log["message"]]
    assert len(notices) == 1
    assert "scope" not in notices[0]
    assert notices[0]["message"].endswith("-m pip install msgpack")


def test_a_compiled_codec_of_the_user_is_used_and_is_the_users(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import msgpack
                async def handler(data, context):
                    packed = msgpack.packb(msgpack.ExtType(1, b"x"))
                    return [msgpack.unpackb(packed) == msgpack.ExtType(1, b"x"), data]
            """
        }
    )

    assert runner.event("a.step.py", {"raw": 1}) == [True, {"raw": 1}]
    assert runner.logs == []
    raw = ["msgpack", b"\x81\xa1a\xc4\x01\x00"]
    given = {"topic": "t", "data": raw, "event": "e"}
    assert value(runner.wait(runner.invoke("a.step.py", "event", given)))[1] == {"a": b"\x00"}
