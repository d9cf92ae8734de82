"""What a wheel holds besides the package: the runners, the step contract, the protocol.

The files go to `stepweave/_files/` as they lie in this repository, without tests and caches;
`stepweave.files` finds them there. An editable install needs none of this, since the package
then lies in the repository itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Folders and files that every wheel carries.
CARRIED = (
    "protocol",
    "runners/node/dist",
    "runners/node/runner.json",
    "runners/python",
    "runners/ruby",
    "steps",
)
TESTS = frozenset({"spec", "test", "tests"})
CACHES = frozenset({".stepweave", ".venv", "__pycache__", "node_modules", "tmp"})

# What has to be built before packing: source folder, product, command.
NPM = "npm --prefix {0} ci && npm --prefix {0} run build"
BUILT = (
    ("runners/node", "runners/node/dist/main.cjs"),
    ("workbench", "workbench/dist/index.html"),
)


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds the carried files to standard wheels, and refuses to pack an unbuilt tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill `force_include`; leaves with one sentence when something is not built yet."""
        if version == "editable":
            return
        root = Path(self.root)
        if sentence := unbuilt(root):
            self.app.abort(sentence)
        if self.target_name == "wheel":
            build_data["force_include"].update(
                (str(file), f"stepweave/_files/{file.relative_to(root).as_posix()}")
                for file in carried(root)
            )


def unbuilt(root: Path) -> str | None:
    """The sentence that names what is not built and the command for it, or None."""
    for folder, product in BUILT:
        # The workbench is only asked for where its source is.
        expected = folder == "runners/node" or (root / folder / "package.json").exists()
        if expected and not (root / product).exists():
            return f"{product} is not built; run `{NPM.format(folder)}` first, then pack again"
    return None


def carried(root: Path) -> Iterator[Path]:
    """The files to carry, absolute, in sorted order."""
    for name in (*CARRIED, "workbench/dist"):
        start = root / name
        if start.is_file():
            yield start
        elif start.is_dir():
            yield from (file for file in sorted(start.rglob("*")) if wanted(file, root))


def wanted(file: Path, root: Path) -> bool:
    """Whether a file is part of the product: no cache, no linter's settings, no runner's test.

    Templates in `steps/` are whole projects, so their tests and dot files travel along.
    """
    top, *folders = file.relative_to(root).parent.parts
    return (
        file.is_file()
        and CACHES.isdisjoint(folders)
        and not any(folder.endswith("_cache") for folder in folders)
        and not (top == "runners" and TESTS.intersection(folders))
        and file.name not in {".DS_Store", "ruff.toml"}
        and file.suffix not in {".pyc", ".orig", ".rej", ".tsbuildinfo"}
    )
