"""The project's modules: where they are found, run from source, and who imports whom.

A step may write `from services.x import y`, `from src.services.x import y` or
`from .services.x import y`: all give the same module, whose name is its path from the root.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from types import CodeType, ModuleType
from typing import Any

__all__ = ["Modules"]

_FOREIGN = frozenset({"python_modules", "node_modules", "site-packages", "venv", "__pycache__"})
_import = builtins.__import__
_import_module = importlib.import_module


def _standard_names() -> frozenset[str]:
    names: Any = getattr(sys, "stdlib_module_names", None)
    if names is not None:
        return frozenset(names)
    folder = sysconfig.get_paths()["stdlib"]  # Python 3.9
    found = os.listdir(folder) + os.listdir(os.path.join(folder, "lib-dynload"))
    return frozenset(name.partition(".")[0] for name in found) | set(sys.builtin_module_names)


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs a file from its source: a cached one may be a second old and is then taken for fresh."""

    def __init__(self, modules: Modules, name: str, path: str) -> None:
        super().__init__(name, path)
        self._modules = modules

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        self._modules.begin(module.__name__, self.path)
        super().exec_module(module)


class Modules:
    """A finder on sys.meta_path, and the graph of the project's imports."""

    def __init__(self, root: str) -> None:
        self.root = os.path.normpath(root)
        self._inside = self.root.rstrip(os.sep) + os.sep
        environment = os.path.normpath(sys.prefix) + os.sep
        self._environment = environment if environment.startswith(self._inside) else None
        self._standard = _standard_names()
        self._files: dict[str, str] = {}
        """Name of each module of the project that has been run, and its file."""
        self._imports: dict[str, set[str]] = {}
        """File and the files it imports; may hold files that do not exist yet."""
        self._folders: dict[str, str] = {}
        """Names of packages that are folders above a step, and the folder."""
        self._prefixes: dict[tuple[str, str], str] = {}
        self._projects: dict[str, bool] = {}

    def install(self) -> None:
        """Put the root at the head of the path and watch every import from here on."""
        sys.path.insert(0, self.root)
        sys.meta_path.insert(0, self)
        builtins.__import__ = self._watched_import
        importlib.import_module = self._watched_import_module

    def is_project_file(self, path: str) -> bool:
        """Whether a file belongs to the project, and not to what is installed in its folder."""
        known = self._projects.get(path)
        if known is None:
            known = self._projects[path] = (
                path.startswith(self._inside)
                and not (self._environment and path.startswith(self._environment))
                and not any(
                    part in _FOREIGN or part[:1] == "."
                    for part in path[len(self._inside) :].split(os.sep)
                )
            )
        return known

    def run(self, path: str) -> ModuleType:
        """Run a step file as a new module and give it. Raises what the file raises.

        Its name is that of its path, so that relative imports work, with "-" for the dots in
        `x.step.py`: no import statement can mean it.
        """
        name = self._name(path)
        loader = _Loader(self, name, path)
        spec = importlib.util.spec_from_file_location(name, path, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        earlier = sys.modules.get(name)
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except BaseException:
            if earlier is None:
                del sys.modules[name]
            else:
                sys.modules[name] = earlier
            raise
        return module

    def begin(self, name: str, path: str) -> None:
        """Note that a file is run as a module; it imports nothing yet but its package."""
        self._files[name] = path
        package = self._files.get(name.rpartition(".")[0])
        self._imports[path] = {package} if package else set()

    def add_import(self, importer: str, imported: str) -> None:
        """Note that a file depends on another one that it does not import itself."""
        self._imports.setdefault(importer, set()).add(imported)

    def reached_from(self, path: str) -> set[str]:
        """The project files that a file imports, directly or not, and the file."""
        return _closure([path], self._imports)

    def forget(self, paths: Iterable[str]) -> tuple[set[str], bool]:
        """Drop the modules of files that changed and of all that import them.

        Gives the files whose modules were dropped, and whether one of `paths` is a compiled
        module that only a new process can load anew.
        """
        paths = [os.path.normpath(path) for path in paths]
        importers: dict[str, set[str]] = {}
        for importer, imported in list(self._imports.items()):
            for path in tuple(imported):
                importers.setdefault(path, set()).add(importer)
        stale = _closure(paths, importers)
        for name, path in list(self._files.items()):
            if path in stale:
                _drop(name)
        importlib.invalidate_caches()
        self._prefixes.clear()
        suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
        compiled = {path for path in paths if path.endswith(suffixes)}
        loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        return stale, bool(compiled & loaded)

    # --- finding

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module whose source is a project file; None for any other."""
        folder = self._folders.get(name)
        if folder is not None:
            return self._spec(name, folder, True)
        last = name.rpartition(".")[2]
        for entry in [self.root] if path is None else path:
            if entry == self.root or self.is_project_file(entry):
                spec = self._spec(name, os.path.join(entry, last), False)
                if spec is not None:
                    return spec
        return None

    def _spec(
        self, name: str, base: str, bare_folder: bool
    ) -> importlib.machinery.ModuleSpec | None:
        init, file = os.path.join(base, "__init__.py"), base + ".py"
        if os.path.isfile(init):
            loader = _Loader(self, name, init)
            return importlib.util.spec_from_file_location(
                name, init, loader=loader, submodule_search_locations=[base]
            )
        if bare_folder:
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [base]
            return spec
        if os.path.isfile(file) and self.is_project_file(file):
            loader = _Loader(self, name, file)
            return importlib.util.spec_from_file_location(name, file, loader=loader)
        return None

    def _name(self, path: str) -> str:
        folder, file = os.path.split(path)
        last = file[: -len(".py")].replace(".", "-")
        package = self._package(folder)
        return f"{package}.{last}" if package else last

    def _package(self, folder: str) -> str:
        """The name of a folder's package, "" for the root. Makes sure that it can be imported."""
        if not folder.startswith(self._inside):
            return ""
        name = ""
        path = self.root
        for part in folder[len(self._inside) :].split(os.sep):
            path = os.path.join(path, part)
            name = f"{name}.{part.replace('.', '-')}" if name else part.replace(".", "-")
            self._folders[name] = path
        return name

    # --- watching

    def _watched_import(
        self,
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> ModuleType:
        importer = self._files.get(globals.get("__name__")) if globals else None
        if importer is None:
            return _import(name, globals, locals, fromlist, level)
        if level:
            package = globals.get("__package__") or ""
            full = importlib.util.resolve_name("." * level + name, package) if package else name
            prefix = ""
        else:
            prefix = self._prefix(importer, name.partition(".")[0])
            full = prefix + name
        try:
            if not prefix:
                return _import(name, globals, locals, fromlist, level)
            module = _import(full, globals, locals, fromlist, 0)
            return module if fromlist else sys.modules[prefix + name.partition(".")[0]]
        finally:
            self._note(importer, full, fromlist)

    def _watched_import_module(self, name: str, package: str | None = None) -> ModuleType:
        importer = self._files.get(sys._getframe(1).f_globals.get("__name__", ""))
        if importer is None:
            return _import_module(name, package)
        if name.startswith("."):
            full = importlib.util.resolve_name(name, package or "")
        else:
            full = self._prefix(importer, name.partition(".")[0]) + name
        try:
            return _import_module(full)
        finally:
            self._note(importer, full, ())

    def _note(self, importer: str, full: str, fromlist: Any) -> None:
        """Remember what an import statement named: also when it failed, since it may be mended."""
        files = self._files
        imported = self._imports.setdefault(importer, set())
        name = ""
        for part in full.split("."):
            name = f"{name}.{part}" if name else part
            if name in files:
                imported.add(files[name])
        for part in fromlist or ():
            path = files.get(f"{full}.{part}")
            if path is not None:
                imported.add(path)
        if name not in sys.modules:
            imported.add(os.path.join(self.root, *full.split(".")) + ".py")

    def _prefix(self, importer: str, top: str) -> str:
        """What stands before `top` in the name of the module that an importing file means by it.

        As if its folder and those above it stood at the head of sys.path, up to the root; but
        nothing hides the standard library, and a folder without __init__.py hides nothing.
        """
        if top in self._standard:
            return ""
        prefix = self._prefixes.get((importer, top))
        if prefix is None:
            prefix = self._prefixes[importer, top] = self._find_prefix(importer, top)
        return prefix

    def _find_prefix(self, importer: str, top: str) -> str:
        folders = []
        folder = os.path.dirname(importer)
        while folder.startswith(self._inside):
            folders.append(folder)
            folder = os.path.dirname(folder)
        for folder in folders:
            base = os.path.join(folder, top)
            init = os.path.join(base, "__init__.py")
            if os.path.isfile(init) or (os.path.isfile(base + ".py") and base + ".py" != importer):
                return self._package(folder) + "."
        try:
            if importlib.util.find_spec(top) is not None:
                return ""
        except (ImportError, ValueError):
            pass
        for folder in folders:
            if os.path.isdir(os.path.join(folder, top)):
                return self._package(folder) + "."
        return ""


def _closure(start: Iterable[str], edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = list(start)
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            ahead.extend(edges.get(path, ()))
    return found


def _drop(name: str) -> None:
    """Forget a module. Its package keeps it as an attribute, where `from . import x` finds it."""
    module = sys.modules.pop(name, None)
    package, _, last = name.rpartition(".")
    parent = sys.modules.get(package)
    if parent is not None and getattr(parent, last, None) is module and module is not None:
        delattr(parent, last)
