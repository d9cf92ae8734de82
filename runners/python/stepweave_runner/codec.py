"""Chooses the msgpack codec: the user's compiled one, the orchestrator's, or the runner's own."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from stepweave_runner import msgpack

__all__ = ["Codec", "choose", "codec"]

_LENT = "stepweave_runner.lent_msgpack"


class Codec(NamedTuple):
    """`pack` and `unpack` one msgpack value; `notice` says what would be faster, if anything."""

    name: str
    pack: Callable[[Any], bytes]
    unpack: Callable[[Any], Any]
    notice: str = ""


def choose(lent_folder: str | None) -> Codec:
    """The fastest codec there is. `lent_folder` holds the orchestrator's msgpack package, if any.

    A package of the user's stays in sys.modules as any import does; a lent one is loaded under a
    name of the runner's, so that `import msgpack` in a step still finds the user's or none.
    """
    for name, find in (("installed", _installed), ("lent", lambda: _lent(lent_folder))):
        package = _unless_broken(find)
        if package is not None:
            unpack = functools.partial(package.unpackb, strict_map_key=False)
            return Codec(name, package.Packer(autoreset=True).pack, unpack)
    return Codec("pure", msgpack.packb, msgpack.unpackb, _cure())


def _unless_broken(find: Callable[[], ModuleType | None]) -> ModuleType | None:
    """What `find` gives; None when somebody else's package fails, which must not stop any step."""
    try:
        return find()
    except Exception:
        return None


def _installed() -> ModuleType | None:
    if importlib.util.find_spec("msgpack") is None:
        return None
    import msgpack as package  # type: ignore[import-untyped,unused-ignore]

    return package if _is_compiled(package) else None


def _lent(folder: str | None) -> ModuleType | None:
    if not folder:
        return None
    folder = os.path.join(folder, "msgpack")
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    if not any(os.path.exists(os.path.join(folder, "_cmsgpack" + suffix)) for suffix in suffixes):
        return None
    spec = importlib.util.spec_from_file_location(
        _LENT, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        return None
    package = sys.modules[_LENT] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(package)
        compiled = _is_compiled(package)
    except BaseException:
        compiled = False
    if not compiled:
        for name in [name for name in sys.modules if name.startswith(_LENT)]:
            del sys.modules[name]
        return None
    return package


def _is_compiled(package: Any) -> bool:
    return bool(package.version >= (1, 0)) and package.Packer.__module__.endswith("._cmsgpack")


def _cure() -> str:
    return (
        "messages are packed by the runner's pure-Python codec, which is some ten times slower; "
        f"install the compiled one: {sys.executable} -m pip install msgpack"
    )


codec = choose(os.environ.get("STEPWEAVE_MSGPACK"))
"""The codec of this process, for frames and for payloads that hold bytes."""
