"""Who may import whom: the layers of docs/architecture.md, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[2]
PACKAGE = HOUSE / "orchestrator" / "stepweave"
RUNNER = HOUSE / "runners" / "python"

BASE = {
    "__init__",
    "calls",
    "console",
    "errors",
    "files",
    "hooks",
    "logline",
    "logs",
    "masking",
    "paint",
    "payload",
    "project",
    "ranked",
    "records",
    "streamed",
    "trace",
}
EDGES = {"conformance", "http"}
WIRING = {"__main__", "cli", "fitting", "insight", "live", "loading", "once", "orchestrator"}
WIRING |= {"reload", "serving", "subscribers", "testing", "watching"}

# Each module or folder of the package, with what it may import besides itself.
MAY_IMPORT = (
    {name: BASE for name in BASE}
    | {"rpc": BASE, "steps": BASE}
    | {"runners": BASE | {"rpc", "steps"}, "engine": BASE | {"steps"}}
    | {name: BASE | {"engine", "rpc", "runners", "steps"} for name in EDGES}
)
MAY_IMPORT |= {name: {*MAY_IMPORT, *WIRING} for name in WIRING}


def placed(file: Path) -> str:
    """The module or folder of the package that a source file belongs to."""
    return Path(file.relative_to(PACKAGE).parts[0]).stem


SOURCES = sorted(PACKAGE.rglob("*.py"))
NAMES = {placed(file) for file in SOURCES}.union(MAY_IMPORT)


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """The dotted names that a file imports, with their lines; `from a import b` is `a.b`."""
    package = file.parent.relative_to(PACKAGE.parent).parts if PACKAGE in file.parents else ()
    for node in ast.walk(ast.parse(file.read_text(), file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else ()
            source = ".".join((*start, *(node.module or "").split("."))).rstrip(".")
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def target(dotted: str) -> str | None:
    """Which module or folder of the package a dotted name is in; None for anything else."""
    first, *rest = dotted.split(".")
    if first != "stepweave":
        return None
    return rest[0] if rest and rest[0] in NAMES else "__init__"


def test_every_module_has_its_layer() -> None:
    for file in SOURCES:
        assert placed(file) in MAY_IMPORT, (
            f"{file.relative_to(HOUSE)} is in no layer; "
            "give it one in tests/unit/test_layers.py and in docs/architecture.md"
        )


def test_every_layer_imports_only_what_lies_below() -> None:
    wrong = [
        f"{file.relative_to(HOUSE)}:{line} imports {dotted}, which {placed(file)} must not know"
        for file in SOURCES
        for line, dotted in imported(file)
        if target(dotted) not in {None, placed(file), *MAY_IMPORT.get(placed(file), ())}
    ]
    assert not wrong, "\n".join(wrong)


def test_the_table_keeps_engine_and_runners_apart() -> None:
    assert "runners" not in MAY_IMPORT["engine"]
    assert "engine" not in MAY_IMPORT["runners"]
    assert MAY_IMPORT["rpc"] == BASE


def test_the_python_runner_knows_nothing_of_the_orchestrator() -> None:
    sources = sorted(RUNNER.rglob("*.py"))
    assert sources, f"there is no Python runner in {RUNNER}"
    wrong = [
        f"{file.relative_to(HOUSE)}:{line} imports {dotted}"
        for file in sources
        for line, dotted in imported(file)
        if target(dotted)
    ]
    assert not wrong, "\n".join(wrong)
