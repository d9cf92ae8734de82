"""The body of a request, by its content type: JSON, forms, files, text, bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

from stepweave.errors import InvalidInput, StepweaveError, TooLarge, Unsupported
from stepweave.http import multipart, request
from stepweave.http.encodings import ACCEPTED, unpacked
from stepweave.http.response import Reply, error_reply
from stepweave.http.uploads import Upload, Uploads
from stepweave.payload import Payload, encode

__all__ = ["Intake", "Taken", "refusal"]


class Taken(NamedTuple):
    """A body: for the handler, for the schema, and as it came where that is something else."""

    data: Payload | None
    value: Any
    raw: bytes | None = None
    files: list[Upload] | None = None


_NOTHING = Taken(None, {})
_MULTIPART = "multipart/form-data"


class Intake:
    """Reads bodies within the limits of a project; sizes are in bytes."""

    def __init__(self, uploads: Uploads, *, max_body: int, max_fields: int, max_files: int) -> None:
        self._uploads = uploads
        self._max_body = max_body
        self._max_fields = max_fields
        self._max_files = max_files

    async def take(self, receive: request.Receive, head: Mapping[str, Any]) -> Taken:
        """Read a body; its files are to be given back with `release`.

        Raises TooLarge, InvalidInput or Unsupported for what is refused, and ClientGone.
        """
        content_type = _content_type(head)
        if _is_form(content_type):
            return await self._form(receive, head, content_type)
        body = await request.read_body(receive, head, self._max_body)
        return self._taken(body, head, content_type)

    def whole(self, body: bytes, head: Mapping[str, Any]) -> Taken | None:
        """Take a body that is there; None for a form with files, which is for `take`.

        Raises as `take` does.
        """
        content_type = _content_type(head)
        if _is_form(content_type):
            return None
        if len(body) > self._max_body:
            raise TooLarge(f"the body has {len(body)} bytes, the limit is {self._max_body}")
        return self._taken(body, head, content_type)

    def release(self, files: list[Upload]) -> None:
        """The call has ended: its files are not needed any more."""
        self._uploads.remove(files)

    def _taken(self, body: bytes, head: Mapping[str, Any], content_type: str | None) -> Taken:
        if not body:
            return _NOTHING
        if "content-encoding" in head:
            body = self._unpacked(body, head)
        return Taken(*request.body_payload(body, content_type, self._max_fields))

    async def _form(
        self, receive: request.Receive, head: Mapping[str, Any], content_type: str
    ) -> Taken:
        if "content-encoding" in head:
            body = await request.read_body(receive, head, self._max_body)
            parts = request.once(self._unpacked(body, head))
        else:
            parts = request.read_parts(receive, head, self._max_body)
        fields, files = await multipart.read(
            parts,
            content_type,
            self._uploads,
            max_files=self._max_files,
            max_fields=self._max_fields,
        )
        return Taken(encode(fields), fields, None, files)

    def _unpacked(self, body: bytes, head: Mapping[str, Any]) -> bytes:
        encoding = head["content-encoding"]
        if not isinstance(encoding, str):
            encoding = ", ".join(encoding)
        return unpacked(body, encoding, self._max_body)


def _content_type(head: Mapping[str, Any]) -> str | None:
    content_type = head.get("content-type")
    if content_type is not None and not isinstance(content_type, str):
        raise InvalidInput("there are several content types; a body has one")
    return content_type


def _is_form(content_type: str | None) -> TypeGuard[str]:
    return content_type is not None and content_type[:19].lower() == _MULTIPART


def refusal(error: StepweaveError) -> Reply:
    """What a client is told whose request cannot be taken."""
    if isinstance(error, TooLarge):
        return error_reply(413, str(error))
    if isinstance(error, Unsupported):
        reply = error_reply(415, str(error))
        reply.head.append((b"accept-encoding", ACCEPTED))
        return reply
    return error_reply(400, str(error))
