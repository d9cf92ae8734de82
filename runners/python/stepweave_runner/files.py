"""The files of a form that was uploaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["File", "Files"]


class File(dict[str, Any]):
    """One file: field, name, type, size, and path where it is on disk; with keys and attributes.

    `bytes` is what is in it, read from the disk if it is there. It is gone when the handler has
    ended, unless that has moved it.
    """

    @property
    def bytes(self) -> Any:
        """The file's content."""
        path = self["path"]
        return self["data"] if path is None else Path(path).read_bytes()

    def __missing__(self, name: str) -> Any:
        if name == "bytes":
            return self.bytes
        raise KeyError(name)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a file has no {name!r}; it has {', '.join(self)}") from None


class Files(list[File]):
    """All files in order; `files["avatar"]` is the first one of that field."""

    def __init__(self, given: Iterable[Mapping[str, Any]]) -> None:
        super().__init__(File({"path": None, **one}) for one in given)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        for file in self:
            if file["field"] == key:
                return file
        raise KeyError(key)

    def get(self, field: str, default: Any = None) -> Any:
        """The first file of a field, or the default."""
        return next((file for file in self if file["field"] == field), default)

    def named(self, field: str) -> list[File]:
        """All files of a field."""
        return [file for file in self if file["field"] == field]
