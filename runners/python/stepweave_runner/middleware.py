"""The middleware of a project: files whose functions run around every API step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

from stepweave_runner.errors import LoadFailed
from stepweave_runner.modules import Modules

__all__ = ["Middleware"]


class Middleware:
    """Runs each file once, for the first step, and anew when it was forgotten."""

    def __init__(self, files: Sequence[str], modules: Modules) -> None:
        self._files = files
        self._modules = modules
        self._loaded: dict[str, ModuleType] = {}

    def around(self, path: str) -> list[Callable[..., Any]]:
        """The functions for the step in a file, outermost first.

        An edit of the files is one of the step. Raises what they raise, and LoadFailed.
        """
        for file in self._files:
            self._modules.add_import(path, file)
        return [function for file in self._files for function in self._functions(file)]

    def forget(self, files: Iterable[str]) -> None:
        """Run these files anew when they are asked for again."""
        for file in files:
            self._loaded.pop(file, None)

    def _functions(self, file: str) -> list[Callable[..., Any]]:
        module = self._loaded.get(file)
        if module is None:
            module = self._loaded[file] = self._modules.run(file)
        given = getattr(module, "middleware", None)
        functions: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
        if not functions or not all(map(callable, functions)):
            raise LoadFailed(
                "a middleware file needs a function named middleware, or a list of them: "
                "async def middleware(req, context, next_fn): return await next_fn()",
                file,
                1,
            )
        return functions
