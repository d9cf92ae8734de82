"""multipart/form-data: fields as in any form, files as uploads, read as they come."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from stepweave.errors import InvalidInput, TooLarge
from stepweave.http import query
from stepweave.http.uploads import Upload, Uploads

__all__ = ["read"]

# What it has to say of a bad form is told to who sent it.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

_LONGEST_BOUNDARY = 256
_FLUSH = 256 << 10
"""Bytes for the disk that are gathered before a thread writes them."""

_ESCAPES = (("%22", '"'), ("%0D", ""), ("%0A", ""))
"""What browsers write in place of the three characters that end a name."""


_NAME_IN_UTF8 = re.compile(rb";\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]*)", re.IGNORECASE)


async def read(
    parts: AsyncIterator[bytes],
    content_type: str,
    uploads: Uploads,
    *,
    max_files: int,
    max_fields: int,
) -> tuple[dict[str, Any], list[Upload]]:
    """The fields and files of a form; whoever calls removes the files.

    Raises InvalidInput for what is no such form or has too many fields, TooLarge for too many
    files, and what `parts` raises; no file is left behind then.
    """
    form = _Form(uploads, max_files, max_fields)
    try:
        parser = MultipartParser(_boundary(content_type), form.callbacks())  # type: ignore[arg-type]
        async for part in parts:
            parser.write(part)
            if form.waiting >= _FLUSH:
                await asyncio.to_thread(form.flush)
        parser.finalize()
        if not form.ended:
            raise InvalidInput("the form is cut off: its last boundary is missing")
        if form.waiting:
            await asyncio.to_thread(form.flush)
        return query.nested(form.fields), form.files
    except MultipartParseError as error:
        uploads.remove(form.files)
        raise InvalidInput(f"the form cannot be read: {error}") from error
    except BaseException:
        uploads.remove(form.files)
        raise


class _Form:
    """What has come so far."""

    def __init__(self, uploads: Uploads, max_files: int, max_fields: int) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[Upload] = []
        self.waiting = 0
        self.ended = False
        self._uploads = uploads
        self._max_files = max_files
        self._max_fields = max_fields
        self._in_memory = 0
        self._for_disk: list[tuple[Upload, bytes]] = []
        self._name = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._file: Upload | None = None
        self._field = ""
        self._text = bytearray()

    def callbacks(self) -> dict[str, Any]:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._over,
        }

    def flush(self) -> None:
        """Write what is for the disk."""
        todo, self._for_disk, self.waiting = self._for_disk, [], 0
        joined: dict[int, tuple[Upload, list[bytes]]] = {}
        for file, data in todo:
            joined.setdefault(id(file), (file, []))[1].append(data)
        for file, pieces in joined.values():
            file.path = self._uploads.append(file.path, b"".join(pieces))

    def _begin(self) -> None:
        self._headers = {}
        self._file = None
        self._text = bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        kind, options = parse_options_header(disposition)
        field = options.get(b"name")
        if kind != b"form-data" or field is None:
            raise InvalidInput(
                'each part of the form needs Content-Disposition: form-data; name="…"'
            )
        self._field = _text(field)
        name = options.get(b"filename")
        if name is None and (found := _NAME_IN_UTF8.search(disposition)):
            name = unquote_to_bytes(found[1])
        if name is None:
            if len(self.fields) >= self._max_fields:
                raise InvalidInput(f"there are more than {self._max_fields:,} fields")
            return
        type = self._headers.get(b"content-type", b"application/octet-stream").decode("latin-1")
        self._file = Upload(self._field, _file_name(_text(name)), type)

    def _data(self, data: bytes, start: int, end: int) -> None:
        file = self._file
        if file is None:
            self._text += data[start:end]
            return
        self._admit(file)
        part = data[start:end]
        file.size += len(part)
        if file.data is not None:
            if self._in_memory + len(part) <= self._uploads.memory:
                self._in_memory += len(part)
                file.data += part
                return
            self._in_memory -= len(file.data)
            part = bytes(file.data) + part
            file.data = None
        self._for_disk.append((file, part))
        self.waiting += len(part)

    def _end(self) -> None:
        file = self._file
        if file is None:
            self.fields.append((self._field, _text(bytes(self._text))))
        elif file.name:
            # What is empty and has no name stands for a field in which nothing was chosen.
            self._admit(file)

    def _admit(self, file: Upload) -> None:
        if self.files and self.files[-1] is file:
            return
        if len(self.files) >= self._max_files:
            raise TooLarge(f"there are more than {self._max_files:,} files")
        self.files.append(file)

    def _over(self) -> None:
        self.ended = True


def _boundary(content_type: str) -> bytes:
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        raise InvalidInput("multipart/form-data needs a boundary in the content type")
    return boundary


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("the form is not UTF-8") from error


def _file_name(name: str) -> str:
    """The last part of a name, since clients may send a whole path, or one to trick with."""
    for written, meant in _ESCAPES:
        name = name.replace(written, meant)
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(sign for sign in name if sign.isprintable())
    return "" if name in (".", "..") else name
