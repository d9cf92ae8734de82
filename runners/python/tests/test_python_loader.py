"""Loading step files: configs in every form, and where a failure lies."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from runners.python.tests.conftest import Write
from stepweave_runner.errors import StepweaveError
from stepweave_runner.loader import Loader
from stepweave_runner.modules import Modules
from stepweave_runner.threads import Threads


class Loading:
    """A loader whose modules are watched only for one test."""

    def __init__(self, root: Path, watched: Modules) -> None:
        self.root = root
        self.loader = Loader(str(root), Threads())
        self.loader.modules = watched

    def load(self, path: str, revision: int = 1) -> dict[str, Any]:
        answer = asyncio.run(self.loader.load(path, str(self.root / path), revision))
        return {**answer, "config": json.loads(answer["config"][1])}

    def failure(self, path: str) -> dict[str, Any]:
        try:
            self.load(path)
        except BaseException as error:
            return self.loader.describe(error, str(self.root / path))
        raise AssertionError(f"{path} was loaded")


@pytest.fixture
def loading(tmp_path: Path, watched: Modules) -> Loading:
    return Loading(tmp_path, watched)


CONFIGS = {
    "a dict": 'config = {"type": "event", "name": "A", "flows": ["f"]}',
    "a function": 'def config():\n    return {"type": "event", "name": "A", "flows": ["f"]}',
    "async": 'async def config():\n    return {"type": "event", "name": "A", "flows": ["f"]}',
    "an object": """
        from dataclasses import dataclass, field
        @dataclass
        class Config:
            type: str = "event"
            name: str = "A"
            flows: list = field(default_factory=lambda: ["f"])
        config = Config()
    """,
    "a tuple of flows": 'config = {"type": "event", "name": "A", "flows": ("f",)}',
}


@pytest.mark.parametrize("form", CONFIGS)
def test_a_config_may_have_many_forms(form: str, write: Write, loading: Loading) -> None:
    root = write({"steps/a.step.py": CONFIGS[form]})

    answer = loading.load("steps/a.step.py")

    assert answer == {
        "config": {"type": "event", "name": "A", "flows": ["f"]},
        "exports": [],
        "warnings": [],
        "watch": [str(root / "steps/a.step.py")],
    }
    assert loading.loader.step("steps/a.step.py", 1).flows == ["f"]


def test_functions_are_taken_out_of_the_config_and_told_as_exports(
    write: Write, loading: Loading
) -> None:
    write(
        {
            "steps/a.step.py": """
                async def guard(req, ctx, next_fn):
                    return await next_fn()
                config = {"type": "api", "middleware": [guard]}
                def handler(req, ctx): ...
            """,
            "streams/b.stream.py": """
                config = {"name": "b", "canAccess": lambda subscription, auth: True}
            """,
            "streams/c.stream.py": """
                config = {"name": "c"}
                def can_access(subscription, auth):
                    return False
            """,
            "steps/d.step.py": 'config = {"type": "noop"}\n',
        }
    )

    answers = {path: loading.load(path) for path in ("steps/a.step.py", "streams/b.stream.py")}

    assert answers["steps/a.step.py"]["config"] == {"type": "api"}
    assert answers["steps/a.step.py"]["exports"] == ["handler", "middleware"]
    assert answers["streams/b.stream.py"]["config"] == {"name": "b"}
    assert answers["streams/b.stream.py"]["exports"] == ["canAccess"]
    assert loading.load("streams/c.stream.py")["exports"] == ["canAccess"]
    assert loading.load("steps/d.step.py")["exports"] == []


def test_imports_are_watched(write: Write, loading: Loading) -> None:
    root = write(
        {
            "services/x.py": "import json\nfrom services import y\n",
            "services/y.py": "",
            "steps/a.step.py": "import services.x\nconfig = {}\n",
        }
    )

    assert loading.load("steps/a.step.py")["watch"] == [
        str(root / path) for path in ("services/x.py", "services/y.py", "steps/a.step.py")
    ]


def test_a_syntax_error_is_told_with_its_place(write: Write, loading: Loading) -> None:
    root = write(
        {
            "steps/a.step.py": "config = {}\n\ndef handler(:\n",
            "steps/b.step.py": "config = {}\nimport services.broken\n",
            "services/broken.py": "x = 1\n    y = 2\n",
        }
    )

    a, b = loading.failure("steps/a.step.py"), loading.failure("steps/b.step.py")

    assert (a["code"], a["type"]) == ("load_failed", "SyntaxError")
    assert a["data"] == {"file": str(root / "steps/a.step.py"), "line": 3, "column": 13}
    assert (b["type"], b["data"]["line"]) == ("IndentationError", 2)
    assert b["data"]["file"] == str(root / "services/broken.py")


def test_an_error_while_loading_is_told_with_the_deepest_line_of_the_project(
    write: Write, loading: Loading
) -> None:
    root = write(
        {
            "steps/a.step.py": "config = {}\n\nfrom services.x import parse\nparse()\n",
            "services/x.py": "import json\ndef parse():\n    json.loads('{')\n",
        }
    )

    failure = loading.failure("steps/a.step.py")

    assert failure["type"] == "JSONDecodeError"
    assert failure["data"] == {"file": str(root / "services/x.py"), "line": 3}
    assert [(Path(frame["file"]).name, frame["line"]) for frame in failure["frames"]] == [
        ("x.py", 3),
        ("a.step.py", 4),
    ]
    assert "stepweave_runner" not in failure["trace"] and "importlib" not in failure["trace"]


def test_a_package_that_is_not_installed_is_told_with_the_cure(
    write: Write, loading: Loading
) -> None:
    write(
        {
            "steps/a.step.py": "config = {}\nimport not_to_be_found.x\n",
            "steps/b.step.py": "config = {}\nimport services.gone\n",
            "services/x.py": "",
        }
    )

    message = loading.failure("steps/a.step.py")["message"]

    assert message.startswith("No module named 'not_to_be_found'; install what has it: ")
    assert message.endswith("-m pip install not_to_be_found")
    assert "pip" not in loading.failure("steps/b.step.py")["message"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("handler = None\n", "a.step.py has no config; a step file needs a dict named config"),
        ("config = 5\n", "a.step.py: config is a int, not a dict"),
        ("config = {}\nhandler = 5\n", "a.step.py: handler is a int, no function"),
        ("config = {}\nimport sys\nsys.exit(3)\n", "3"),
    ],
)
def test_a_file_that_is_no_step_is_told(
    content: str, message: str, write: Write, loading: Loading
) -> None:
    root = write({"steps/a.step.py": content})

    failure = loading.failure("steps/a.step.py")

    assert (failure["code"], failure["message"]) == ("load_failed", message)
    assert failure["data"]["file"] == str(root / "steps/a.step.py")


def test_a_file_that_is_not_there_is_told(loading: Loading) -> None:
    assert "is not a file" in loading.failure("steps/gone.step.py")["message"]


def test_revisions_stay_until_they_are_unloaded(write: Write, loading: Loading) -> None:
    write({"steps/a.step.py": "config = {}\ndef handler(d):\n    return 1\n"})
    loading.load("steps/a.step.py", 1)
    write({"steps/a.step.py": "config = {}\ndef handler(d):\n    return 2\n"})
    loading.load("steps/a.step.py", 2)
    loader = loading.loader

    def result(revision: int | None) -> Any:
        handler = loader.step("steps/a.step.py", revision).handler
        assert handler is not None
        return handler.call(None, None)

    assert (result(1), result(2), result(None)) == (1, 2, 2)
    loader.unload("steps/a.step.py", 1)
    with pytest.raises(StepweaveError, match=r"revision 1 .* is not loaded, only 2") as stale:
        result(1)
    loader.unload("steps/a.step.py", None)
    loader.unload("steps/a.step.py", None)
    with pytest.raises(StepweaveError, match=r"no step 'steps/a\.step\.py' is loaded") as unknown:
        result(2)
    assert (stale.value.code, unknown.value.code) == ("stale_revision", "unknown_step")


def test_a_change_names_the_steps_that_it_reaches(write: Write, loading: Loading) -> None:
    root = write(
        {
            "services/x.py": "n = 1\n",
            "steps/a.step.py": "from services.x import n\nconfig = {'n': n}\n",
            "steps/b.step.py": "config = {}\n",
            "steps/c.step.py": "from services.x import gone\nconfig = {}\n",
        }
    )
    loading.load("steps/a.step.py")
    loading.load("steps/b.step.py")
    loading.failure("steps/c.step.py")
    write({"services/x.py": "n = 2\n"})

    changed = loading.loader.changed([str(root / "services/x.py")])

    assert changed == {"steps": ["steps/a.step.py", "steps/c.step.py"], "restart": False}
    assert loading.load("steps/a.step.py", 2)["config"] == {"n": 2}
    assert loading.loader.changed([str(root / "README.md")]) == {"steps": [], "restart": False}
