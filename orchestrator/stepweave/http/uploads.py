"""Files that clients upload: small ones in memory, others on disk while their call runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

__all__ = ["Upload", "Uploads"]


class Upload:
    """One file of a form, while it comes and after; `data` is None once it is on disk."""

    __slots__ = ("data", "field", "name", "path", "size", "type")

    def __init__(self, field: str, name: str, type: str) -> None:
        self.field = field
        self.name = name
        self.type = type
        self.size = 0
        self.data: bytearray | None = bytearray()
        self.path: Path | None = None

    def to_wire(self) -> dict[str, Any]:
        """The file as the input of an invocation has it (SPEC 9.5)."""
        told = {"field": self.field, "name": self.name, "type": self.type, "size": self.size}
        if self.path is not None:
            return {**told, "path": str(self.path)}
        return {**told, "data": bytes(self.data or b"")}


class Uploads:
    """Where files go. What an earlier process left in the folder is removed at once.

    All files of a request together have `memory` bytes; what comes beyond goes to disk.
    """

    def __init__(self, folder: Path, memory: int) -> None:
        self.memory = memory
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)

    def append(self, path: Path | None, data: bytes) -> Path:
        """Add bytes to a file, a new one without `path`; its path. Raises OSError."""
        if path is not None:
            with path.open("ab") as file:
                file.write(data)
            return path
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / secrets.token_hex(16)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
        return path

    def remove(self, files: list[Upload]) -> None:
        """Remove the files that are on disk, beside the loop."""
        paths = [file.path for file in files if file.path is not None]
        if paths:
            asyncio.get_running_loop().run_in_executor(None, _unlink, paths)


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        # A handler may have moved it to where it is to stay.
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
