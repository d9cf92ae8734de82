"""Imports of the project's files: what they find, and what a change reaches."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from runners.python.tests.conftest import Write
from stepweave_runner.modules import Modules

COUNTER = "loaded = []\n"


def names(paths: set[str], root: Path) -> set[str]:
    return {str(Path(path).relative_to(root)) for path in paths}


def test_every_form_of_import_gives_the_same_module(write: Write, watched: Modules) -> None:
    root = write(
        {
            "src/services/store.py": "things = []\n",
            "src/orders/create.step.py": """
                from src.services.store import things as a
                from services.store import things as b
                from ..services.store import things as c
                from ..services import store
                import services.store
                import src.services.store as e
                import services.store as f
                import importlib
                g = importlib.import_module("services.store")
                h = importlib.import_module("..services.store", __package__)
                same = len({id(x) for x in (a, b, c, store.things, services.store.things,
                                            e.things, f.things, g.things, h.things)})
            """,
        }
    )

    module: Any = watched.run(str(root / "src/orders/create.step.py"))

    assert module.same == 1
    assert module.__name__ == "src.orders.create-step"
    assert sum(name.endswith("store") for name in sys.modules if "services" in name) == 1


def test_a_step_imports_from_beside_it_and_from_the_root(write: Write, watched: Modules) -> None:
    root = write(
        {
            "services/price.py": "name = 'root'\n",
            "steps/services/tax.py": "name = 'below steps'\n",
            "steps/helper.py": "name = 'beside'\n",
            "steps/pay_step.py": """
                from services.price import name as price
                from .services.tax import name as tax
                import helper
                from steps.helper import name as again
            """,
        }
    )

    module: Any = watched.run(str(root / "steps/pay_step.py"))

    assert (module.price, module.tax, module.helper.name) == ("root", "below steps", "beside")
    assert module.helper is sys.modules["steps.helper"]


def test_nothing_hides_the_standard_library(write: Write, watched: Modules) -> None:
    root = write({"steps/calendar.py": "", "steps/a.step.py": "import calendar\n"})

    module: Any = watched.run(str(root / "steps/a.step.py"))

    assert hasattr(module.calendar, "monthrange")


def test_a_folder_beside_a_step_hides_no_installed_package(write: Write, watched: Modules) -> None:
    root = write({"steps/pytest/a.step.py": "import pytest\n", "steps/pytest/x.txt": ""})

    module: Any = watched.run(str(root / "steps/pytest/a.step.py"))

    assert module.pytest is pytest


def test_an_installed_package_does_not_hide_the_folder_of_steps(
    write: Write, watched: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    (installed / "steps").mkdir(parents=True)
    (installed / "steps" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(installed))
    root = write({"steps/lib/x.py": "n = 1\n", "steps/a.step.py": "from steps.lib.x import n\n"})

    assert watched.run(str(root / "steps/a.step.py")).n == 1


def test_two_steps_with_the_same_names_stay_apart(write: Write, watched: Modules) -> None:
    root = write({"steps/a.step.py": "n = 1\n", "steps/b.step.py": "n = 2\n"})

    a, b = (watched.run(str(root / f"steps/{name}.step.py")) for name in "ab")

    assert (a.n, b.n) == (1, 2)


def test_an_older_run_keeps_its_code(write: Write, watched: Modules) -> None:
    root = write({"steps/a.step.py": "n = 1\nget = lambda: n\n"})
    old: Any = watched.run(str(root / "steps/a.step.py"))
    write({"steps/a.step.py": "n = 2\nget = lambda: n\n"})

    new: Any = watched.run(str(root / "steps/a.step.py"))

    assert (old.get(), new.get()) == (1, 2)


def test_a_step_that_fails_leaves_the_earlier_one(write: Write, watched: Modules) -> None:
    root = write({"steps/a.step.py": "n = 1\n"})
    old = watched.run(str(root / "steps/a.step.py"))
    write({"steps/a.step.py": "n = 1 / 0\n"})

    with pytest.raises(ZeroDivisionError):
        watched.run(str(root / "steps/a.step.py"))

    assert sys.modules["steps.a-step"] is old


def test_no_bytecode_is_written_beside_project_files(write: Write, watched: Modules) -> None:
    root = write({"services/x.py": "", "steps/a.step.py": "import services.x\n"})

    watched.run(str(root / "steps/a.step.py"))

    assert not list(root.rglob("*.pyc"))


def test_dataclasses_and_pickle_find_the_module(write: Write, watched: Modules) -> None:
    root = write(
        {
            "steps/a.step.py": """
                from __future__ import annotations
                import pickle
                from dataclasses import dataclass
                from typing import ClassVar
                @dataclass
                class Order:
                    kinds: ClassVar[list[str]] = []
                    n: int = 1
                again = pickle.loads(pickle.dumps(Order(3)))
            """
        }
    )

    assert watched.run(str(root / "steps/a.step.py")).again.n == 3


CHAIN = {
    "services/deep.py": "n = 1\n",
    "services/middle.py": "from . import deep\n",
    "services/other.py": "m = 1\n",
    "steps/a.step.py": "from services import middle\nn = middle.deep.n\n",
    "steps/b.step.py": "from services.other import m\n",
}


def test_a_change_reaches_importers_of_importers_and_no_others(
    write: Write, watched: Modules
) -> None:
    root = write(CHAIN)
    for name in "ab":
        watched.run(str(root / f"steps/{name}.step.py"))
    write({"services/deep.py": "n = 2\n"})

    stale, restart = watched.forget([str(root / "services/deep.py")])

    assert names(stale, root) == {"services/deep.py", "services/middle.py", "steps/a.step.py"}
    assert not restart
    assert "services.other" in sys.modules
    assert watched.run(str(root / "steps/a.step.py")).n == 2


def test_what_a_step_reaches_is_known(write: Write, watched: Modules) -> None:
    root = write(CHAIN)
    watched.run(str(root / "steps/a.step.py"))

    assert names(watched.reached_from(str(root / "steps/a.step.py")), root) == {
        "steps/a.step.py",
        "services/middle.py",
        "services/deep.py",
    }


def test_the_attribute_that_a_package_keeps_is_forgotten_too(
    write: Write, watched: Modules
) -> None:
    root = write(
        {
            "services/__init__.py": "",
            "services/deep.py": "n = 1\n",
            "services/middle.py": "def get():\n    from . import deep\n    return deep.n\n",
            "steps/a.step.py": "from services.middle import get\nget()\n",
        }
    )
    watched.run(str(root / "steps/a.step.py"))
    write({"services/deep.py": "n = 2\n"})

    stale, _ = watched.forget([str(root / "services/deep.py")])

    assert str(root / "steps/a.step.py") in stale
    assert watched.run(str(root / "steps/a.step.py")).get() == 2


def test_a_changed_package_takes_its_modules_along(write: Write, watched: Modules) -> None:
    root = write(
        {
            "services/__init__.py": "n = 1\n",
            "services/x.py": "m = 1\n",
            "steps/a.step.py": "import services.x\nboth = (services.n, services.x.m)\n",
        }
    )
    watched.run(str(root / "steps/a.step.py"))
    write({"services/__init__.py": "n = 2\n"})

    watched.forget([str(root / "services/__init__.py")])

    assert watched.run(str(root / "steps/a.step.py")).both == (2, 1)


def test_an_import_within_a_function_counts(write: Write, watched: Modules) -> None:
    root = write(
        {
            "services/late.py": "n = 1\n",
            "steps/a.step.py": "def handler():\n    import services.late\n",
        }
    )
    module: Any = watched.run(str(root / "steps/a.step.py"))
    assert watched.forget([str(root / "services/late.py")])[0] == {str(root / "services/late.py")}

    module.handler()

    assert len(watched.forget([str(root / "services/late.py")])[0]) == 2


@pytest.mark.parametrize("content", [None, "def broken(:\n", "1 / 0\n"])
def test_a_module_that_could_not_be_imported_is_mended_by_its_change(
    content: str | None, write: Write, watched: Modules
) -> None:
    root = write({"steps/a.step.py": "import services.x\n", "services/y.py": ""})
    if content is not None:
        write({"services/x.py": content})
    with pytest.raises((ImportError, SyntaxError, ZeroDivisionError)):
        watched.run(str(root / "steps/a.step.py"))
    write({"services/x.py": "n = 1\n"})

    stale, _ = watched.forget([str(root / "services/x.py")])

    assert str(root / "steps/a.step.py") in stale
    watched.run(str(root / "steps/a.step.py"))


def test_installed_modules_are_no_project_files(write: Write, watched: Modules) -> None:
    root = write({"steps/a.step.py": ""})
    inside = ["steps/a.step.py", "services/x.py", "v1.2/x.py"]
    outside = [
        "python_modules/lib/x.py",
        ".venv/lib/python3/site-packages/x.py",
        "node_modules/x.py",
        "venv/x.py",
    ]

    assert all(watched.is_project_file(str(root / path)) for path in inside)
    assert not any(watched.is_project_file(str(root / path)) for path in outside)
    assert not watched.is_project_file(importlib.__file__ or "")
    assert not watched.is_project_file("<string>")


def test_a_compiled_module_of_the_project_needs_a_new_process(
    write: Write, watched: Modules
) -> None:
    root = write({"services/fast.so": "", "services/other.so": ""})
    module: Any = type(sys)("fast")
    module.__file__ = str(root / "services/fast.so")
    sys.modules["fast"] = module

    assert watched.forget([str(root / "services/fast.so")])[1]
    assert not watched.forget([str(root / "services/other.so")])[1]


def test_folders_with_dots_and_dashes_hold_steps(write: Write, watched: Modules) -> None:
    root = write(
        {
            "steps/v1.2-beta/helper.py": "n = 1\n",
            "steps/v1.2-beta/a.step.py": "from .helper import n\nimport helper\n",
        }
    )

    module: Any = watched.run(str(root / "steps/v1.2-beta/a.step.py"))

    assert module.n == module.helper.n == 1
