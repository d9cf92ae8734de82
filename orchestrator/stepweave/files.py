"""Where the files beside the package are: runners, step contract, protocol, workbench."""

from __future__ import annotations

from pathlib import Path

from stepweave.errors import StepweaveError

__all__ = ["FileMissing", "path", "root"]

PACKAGE = Path(__file__).resolve().parent

# Folders that a checkout has to build before they exist.
BUILT = ("runners/node/dist", "workbench/dist")


class FileMissing(StepweaveError):
    """A file that belongs to Stepweave itself is not where it should be."""

    def __init__(self, name: str, advice: str) -> None:
        super().__init__(f"{name} is missing: {advice}")
        self.name = name


def root() -> Path:
    """The folder that holds `runners/`, `steps/` and `protocol/`.

    `_files/` in an installed wheel; the repository, or an unpacked sdist, anywhere else.
    """
    installed = PACKAGE / "_files"
    return installed if installed.is_dir() else PACKAGE.parents[1]


def path(*parts: str) -> Path:
    """The absolute path of one of Stepweave's own files or folders, which exists.

    Raises FileMissing, which says how to mend the checkout or the installation.
    """
    found = root().joinpath(*parts)
    if found.exists():
        return found
    name = "/".join(parts)
    if root().name == "_files":
        raise FileMissing(name, "this installation is incomplete; install stepweave again")
    if name.startswith(BUILT):
        raise FileMissing(name, f"it is not built yet; run `make setup` in {root()}")
    raise FileMissing(name, f"there is no such file in {root()}")
