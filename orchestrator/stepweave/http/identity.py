"""Which trace and which request this is: what the caller says, else ids of our own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from stepweave.trace import new_trace_id, parse_traceparent

__all__ = ["identity", "request_id"]

_ID = re.compile(r"[!-~]{1,200}")


def identity(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """The trace id and the request id for an answer that no handler gives."""
    parents = [value for name, value in headers if name == b"traceparent"]
    parent = parse_traceparent(parents[0].decode("latin-1")) if len(parents) == 1 else None
    trace_id = parent.trace_id if parent is not None else new_trace_id()
    ids = [value.decode("latin-1") for name, value in headers if name == b"x-request-id"]
    return trace_id, request_id(ids[0] if len(ids) == 1 else None) or trace_id


def request_id(given: Any) -> str | None:
    """The caller's `x-request-id` if it is one: at most 200 visible ASCII characters."""
    return given if isinstance(given, str) and _ID.fullmatch(given) else None
