"""Step files: run, read for their config and functions, kept by handle and revision."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepweave_runner import errors, schemas, values
from stepweave_runner.errors import LoadFailed, StepweaveError
from stepweave_runner.handlers import Handler, bind, chain
from stepweave_runner.middleware import Middleware
from stepweave_runner.modules import Modules
from stepweave_runner.parsing import Parsing, is_parsed
from stepweave_runner.threads import Threads

__all__ = ["Loader", "Step"]

# By the kind of `authorize`, what the function may be called in the config or the file.
_GUARDS = {"canAccess": ("canAccess", "can_access"), "streamAuth": ("streamAuth", "stream_auth")}
_FUNCTIONS = frozenset({"middleware"}.union(*_GUARDS.values()))


class Step:
    """One revision of a step, as it was loaded."""

    __slots__ = ("exports", "flows", "guards", "handle", "handler", "parsing", "path", "revision")

    def __init__(self, handle: str, revision: int, path: str) -> None:
        self.handle = handle
        self.revision = revision
        self.path = path
        self.handler: Handler | None = None
        self.guards: dict[str, Handler] = {}
        self.exports: list[str] = []
        self.flows: list[str] = []
        self.parsing = Parsing({})


class Loader:
    """Older revisions of a handle stay until they are unloaded; what runs keeps its code."""

    def __init__(
        self,
        root: str,
        threads: Threads,
        *,
        parses: bool = False,
        middleware: Sequence[str] = (),
    ) -> None:
        """`parses` is whether configs that say nothing of it have their input parsed,
        `middleware` the files of functions around all API steps."""
        self.modules = Modules(root)
        self.middleware = Middleware(middleware, self.modules)
        self._parses = parses
        self._threads = threads
        self._steps: dict[str, dict[int, Step]] = {}
        self._paths: dict[str, str] = {}

    async def load(self, handle: str, path: str, revision: int) -> dict[str, Any]:
        """Run a step file and give the answer to `load`. Raises what the file raises."""
        path = self._paths[handle] = _existing(path)
        module = self.modules.run(path)
        given = await _config(module, path)
        functions = {key: given[key] for key in _FUNCTIONS if key in given}
        config, warnings = schemas.convert(
            {k: v for k, v in given.items() if k not in functions},
            parsed=is_parsed(given, self._parses),
        )
        step = Step(handle, revision, path)
        step.parsing = Parsing(given)
        if step.parsing.warning is not None:
            warnings.append(step.parsing.warning)
        around = self.middleware.around(path) if config.get("type") == "api" else []
        self._bind(step, config.get("type"), functions, module, around)
        flows = config.get("flows")
        step.flows = [str(flow) for flow in flows] if isinstance(flows, list) else []
        answer = {
            "config": values.encode_json(config),
            "exports": step.exports,
            "warnings": warnings,
            "watch": sorted(filter(self._is_watched, self.modules.reached_from(path))),
        }
        self._steps.setdefault(handle, {})[revision] = step
        return answer

    def unload(self, handle: str, revision: int | None) -> None:
        """Forget one revision of a step, or all of them. What is not there is no error."""
        revisions = self._steps.get(handle, {})
        if revision is not None:
            revisions.pop(revision, None)
        if revision is None or not revisions:
            self._steps.pop(handle, None)
            self._paths.pop(handle, None)

    def changed(self, paths: list[str]) -> dict[str, Any]:
        """Forget the modules that reach the files, and tell which steps do."""
        stale, restart = self.modules.forget(paths)
        self.middleware.forget(stale)
        return {
            "steps": [handle for handle, path in self._paths.items() if path in stale],
            "restart": restart,
        }

    def step(self, handle: str, revision: int | None) -> Step:
        """A loaded revision, the newest for None. Raises StepweaveError if it is not there."""
        revisions = self._steps.get(handle)
        if not revisions:
            raise StepweaveError("unknown_step", f"no step {handle!r} is loaded")
        if revision is None:
            revision = max(revisions)
        step = revisions.get(revision)
        if step is None:
            raise StepweaveError(
                "stale_revision",
                f"revision {revision} of {handle!r} is not loaded, only "
                f"{', '.join(map(str, sorted(revisions)))}",
            )
        return step

    def describe(self, error: BaseException, path: str) -> dict[str, Any]:
        """The load_failed error map of what came of loading a file, with the place in user code."""
        if isinstance(error, StepweaveError):
            return error.to_wire()
        described = errors.describe(error, "load_failed", self.modules.is_project_file)
        described["data"] = self._place(error, described["frames"], path)
        missing = getattr(error, "name", None)
        if isinstance(error, ModuleNotFoundError) and missing and not self._is_ours(missing):
            top = missing.partition(".")[0]
            described["message"] += f"; install what has it: {sys.executable} -m pip install {top}"
        return described

    def _bind(
        self,
        step: Step,
        kind: Any,
        functions: Mapping[str, Any],
        module: Any,
        around: Sequence[Callable[..., Any]],
    ) -> None:
        handler = getattr(module, "handler", None)
        if handler is not None:
            if not callable(handler):
                what = type(handler).__name__
                raise LoadFailed(f"{_base(step.path)}: handler is a {what}, no function", step.path)
            step.handler = bind(handler, kind)
            step.exports.append("handler")
        for guard, names in _GUARDS.items():
            for function in (functions.get(name) or getattr(module, name, None) for name in names):
                if isinstance(function, Mapping):  # {"authenticate": …, "contextSchema": …}
                    function = function.get("authenticate")
                if callable(function):
                    step.guards[guard] = bind(function, kind)
        step.exports.extend(step.guards)
        middleware = functions.get("middleware") or []
        if callable(middleware):
            middleware = [middleware]
        if middleware and step.handler is not None:
            step.exports.append("middleware")
        middleware = [*around, *middleware]
        if middleware and step.handler is not None:
            step.handler = chain(middleware, step.handler, self._threads)

    def _place(
        self, error: BaseException, frames: list[dict[str, Any]], path: str
    ) -> dict[str, Any]:
        if isinstance(error, SyntaxError) and error.filename and error.lineno:
            place: dict[str, Any] = {"file": error.filename, "line": error.lineno}
            if error.offset and error.offset > 0:
                place["column"] = error.offset
            return place
        if frames:
            return {"file": frames[0]["file"], "line": frames[0]["line"]}
        return {"file": path}

    def _is_watched(self, path: str) -> bool:
        return self.modules.is_project_file(path) and os.path.isfile(path)

    def _is_ours(self, name: str) -> bool:
        return os.path.exists(os.path.join(self.modules.root, name.partition(".")[0]))


async def _config(module: Any, path: str) -> Mapping[str, Any]:
    """The config of a module: a dict, an object with fields, or a function that gives one.

    A file that says who the clients of streams are needs none.
    """
    try:
        config = module.config
    except AttributeError:
        if any(hasattr(module, name) for name in _GUARDS["streamAuth"]):
            return {}
        raise LoadFailed(
            f"{_base(path)} has no config; a step file needs a dict named config", path, 1
        ) from None
    if callable(config) and not isinstance(config, (Mapping, type)):
        config = config()
    if inspect.isawaitable(config):
        config = await config
    if not isinstance(config, Mapping):
        config = values.simplify(config)
    if not isinstance(config, Mapping):
        raise LoadFailed(f"{_base(path)}: config is a {type(config).__name__}, not a dict", path, 1)
    return config


def _existing(path: str) -> str:
    path = os.path.normpath(path)
    if not os.path.isfile(path):
        raise LoadFailed(f"{path} is not a file", path)
    return path


def _base(path: str) -> str:
    return os.path.basename(path)
