"""Finding the step and stream files of a project by their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from stepweave.steps import wording
from stepweave.steps.model import Found, Problem

__all__ = ["SKIPPED", "Discovery", "discover", "language_of", "what_is"]

SKIPPED = frozenset(
    {"node_modules", "venv", "python_modules", "dist", "__pycache__", "bower_components"}
)

# Suffixes of languages that a runner may exist for; other files are none of our business.
LANGUAGES = frozenset(
    ".ts .mts .cts .js .mjs .cjs .py .rb .go .rs .java .kt .scala .clj .php .pl .lua .ex .exs .erl "
    ".cs .fs .swift .dart .jl .r .nim .zig .cr .hs .ml .c .cc .cpp .sh".split()
)
# A suffix of the user interface beside a step, never a step.
INTERFACE = frozenset({".tsx", ".jsx"})
NEAR = re.compile(r"(?P<base>.*?)(?P<sign>[-_. ])(?P<word>steps?|streams?)", re.IGNORECASE)
SAYS_CONFIG = re.compile(rb"\bconfig\b")
MAX_PEEK = 200_000

What = Literal["step", "stream"]


class Discovery(NamedTuple):
    """The files found, sorted by relpath, and the names that look like mistakes."""

    found: tuple[Found, ...]
    problems: tuple[Problem, ...]


def discover(
    root: Path,
    roots: Sequence[str] = ("steps", "src"),
    extra: Sequence[str] = (),
    *,
    extensions: Mapping[str, str],
    stream_roots: Sequence[str] = ("streams",),
) -> Discovery:
    """All files under the project's folders that hold a step or a stream.

    `extensions` maps a suffix such as ".py" to its language. `extra` are folders that the
    project's settings name; one that is missing is a problem, a missing one of `roots` is not.
    In `stream_roots` only streams are looked for. Hidden folders, environments, packages and
    build output are skipped, as are links that leave the project.
    """
    walk = _Walk(root.resolve(), extensions)
    for folder in roots:
        walk.folder(folder, frozenset({"step", "stream"}))
    for folder in extra:
        walk.folder(folder, frozenset({"step", "stream"}), must_exist=True)
    for folder in stream_roots:
        walk.folder(folder, frozenset({"stream"}))
    return Discovery(
        tuple(sorted(walk.found, key=lambda found: found.relpath)),
        tuple(sorted(walk.problems, key=lambda problem: (problem.file, problem.code))),
    )


def what_is(name: str, extensions: Mapping[str, str]) -> What | None:
    """What a file of that name holds: "step", "stream" or None."""
    stem, suffix = _split(name, extensions)
    if suffix is None or suffix in INTERFACE or name.startswith("."):
        return None
    if stem.endswith((".step", "_step")):
        return "step"
    return "stream" if stem.endswith((".stream", "_stream")) else None


def language_of(name: str, extensions: Mapping[str, str]) -> str | None:
    """The language that the file's suffix stands for."""
    suffix = _split(name, extensions)[1]
    return None if suffix is None else extensions[suffix]


def _split(name: str, extensions: Iterable[str]) -> tuple[str, str | None]:
    """The name without the longest known suffix, and that suffix."""
    for suffix in sorted(extensions, key=len, reverse=True):
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], suffix
    return name, None


class _Walk:
    """One search: what was found and which folders were seen."""

    def __init__(self, root: Path, extensions: Mapping[str, str]) -> None:
        self.root = root
        self.extensions = extensions
        self.found: list[Found] = []
        self.problems: list[Problem] = []
        self.seen: set[str] = set()
        self.folders: set[tuple[str, frozenset[str]]] = set()

    def folder(self, name: str, wanted: frozenset[str], *, must_exist: bool = False) -> None:
        start = self.root / name
        if not self._inside(start):
            self._warn(
                "outside_project",
                name,
                f"the folder {wording.quote(name)} is not searched",
                "steps are read only below the project",
            )
            return
        if not start.is_dir():
            if must_exist:
                self._warn(
                    "missing_folder",
                    name,
                    "there is no such folder",
                    "make it or take it out of stepweave.toml",
                )
            return
        links: list[Path] = []
        for path in self._files(start, wanted, links):
            self._file(path, wanted)
        # Links come last, so that a file is known by the place where it really is.
        while links:
            link = links.pop(0)
            if not self._inside(link):
                self._warn(
                    "outside_project",
                    self._relative(link),
                    "this link leaves the project",
                    "steps are read only below the project",
                )
            elif link.is_dir():
                for path in self._files(link, wanted, links):
                    self._file(path, wanted)
            elif link.is_file():
                self._file(link, wanted)

    def _files(self, folder: Path, wanted: frozenset[str], links: list[Path]) -> Iterator[Path]:
        identity = (str(folder.resolve()), wanted)
        if identity in self.folders:
            return
        self.folders.add(identity)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            why = error.strerror or str(error)
            self._warn("unreadable_folder", self._relative(folder), f"cannot be searched: {why}")
            return
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                if entry.name not in SKIPPED and self._interesting(path):
                    links.append(path)
            elif entry.is_dir(follow_symlinks=False):
                if entry.name not in SKIPPED:
                    yield from self._files(path, wanted, links)
            elif entry.is_file(follow_symlinks=False):
                yield path

    def _interesting(self, link: Path) -> bool:
        return link.is_dir() or what_is(link.name, self.extensions) is not None

    def _file(self, path: Path, wanted: frozenset[str]) -> None:
        what = what_is(path.name, self.extensions)
        if what is None:
            self._near_miss(path)
            return
        real, relpath = str(path.resolve()), self._relative(path)
        language = language_of(path.name, self.extensions)
        if real in self.seen or language is None:
            return
        if what not in wanted:
            self._warn(
                "misplaced_step",
                relpath,
                "is not where steps are looked for",
                "move it to steps/ or src/",
            )
        elif not _is_text(relpath):
            self._warn("file_name", _readable(relpath), "the name is not UTF-8", "rename it")
        else:
            self.seen.add(real)
            self.found.append(Found(path, relpath, what, language))

    def _near_miss(self, path: Path) -> None:
        """Say so when a name was probably meant for a step, and the file has a config."""
        stem, suffix = path.stem, path.suffix
        folded = suffix.lower()
        near = NEAR.fullmatch(stem)
        if near is None or folded not in LANGUAGES | set(self.extensions) or folded in INTERFACE:
            return
        if not _says_config(path):
            return
        word = "stream" if near["word"].lower().startswith("stream") else "step"
        sign = "_" if near["sign"] == "_" else "."
        relpath = self._relative(path)
        if suffix not in self.extensions and folded not in self.extensions:
            known = wording.listing(sorted(self.extensions), "and")
            self._warn(
                "unknown_language",
                relpath,
                f"no runner takes {suffix} files",
                f"the runners take {known}; stepweave.toml can name another",
            )
            return
        suffix = suffix if suffix in self.extensions else folded
        right = f"{near['base']}{sign}{word}{suffix}"
        self._warn("file_name", relpath, f"the name does not make it a {word}", f"call it {right}")

    def _warn(self, code: str, file: str, message: str, hint: str | None = None) -> None:
        problem = Problem("warning", code, message, file, hint=hint)
        if problem not in self.problems:
            self.problems.append(problem)

    def _inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError):
            return False

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.root)).as_posix()


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _readable(name: str) -> str:
    return os.fsencode(name).decode(errors="replace")


def _says_config(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return SAYS_CONFIG.search(file.read(MAX_PEEK)) is not None
    except OSError:
        return False
