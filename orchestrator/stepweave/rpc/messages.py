"""The method names of protocol version 1 and the constants of its handshake (messages.yaml)."""

from __future__ import annotations

from typing import Final

__all__ = [
    "AUTHORIZE",
    "BOTH_WAYS",
    "CANCEL",
    "CHANGED",
    "EMIT",
    "ERROR_CODES",
    "FROM_RUNNER",
    "INITIALIZE",
    "INVOKE",
    "LOAD",
    "LOG",
    "PING",
    "SHUTDOWN",
    "TO_RUNNER",
    "UNLOAD",
    "VERSIONS",
]

VERSIONS: Final = (1, 1)
"""The oldest and newest protocol version that this orchestrator speaks."""

INITIALIZE: Final = "initialize"
LOAD: Final = "load"
UNLOAD: Final = "unload"
CHANGED: Final = "changed"
INVOKE: Final = "invoke"
AUTHORIZE: Final = "authorize"
SHUTDOWN: Final = "shutdown"
EMIT: Final = "emit"
PING: Final = "ping"
CANCEL: Final = "cancel"
LOG: Final = "log"

TO_RUNNER: Final = (INITIALIZE, LOAD, UNLOAD, CHANGED, INVOKE, AUTHORIZE, SHUTDOWN)
FROM_RUNNER: Final = (
    EMIT,
    "state.get",
    "state.set",
    "state.delete",
    "state.list",
    "state.clear",
    "state.update",
    "state.groups",
    "stream.get",
    "stream.set",
    "stream.update",
    "stream.delete",
    "stream.list",
    "stream.send",
    "event.cancel",
    "response.start",
    "response.write",
    LOG,
)
BOTH_WAYS: Final = (PING, CANCEL)

ERROR_CODES: Final = frozenset(
    {
        "not_initialized",
        "unsupported_version",
        "unknown_method",
        "invalid_params",
        "too_large",
        "protocol_error",
        "load_failed",
        "unknown_step",
        "stale_revision",
        "handler_failed",
        "invalid_input",
        "invalid_payload",
        "timeout",
        "cancelled",
        "not_declared",
        "unknown_scope",
        "state_failed",
        "conflict",
        "stream_failed",
        "busy",
        "shutting_down",
        "internal",
    }
)
