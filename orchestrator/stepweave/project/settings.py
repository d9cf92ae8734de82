"""The settings of a project, with their defaults: the sections of stepweave.toml.

docs/operating.md describes each of them; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from stepweave.project import values
from stepweave.project.values import Reader

__all__ = [
    "Cors",
    "Cron",
    "Events",
    "Runner",
    "Server",
    "Settings",
    "Shutdown",
    "Steps",
    "Storage",
    "Streams",
    "Traces",
]

T = TypeVar("T")


def _setting(default: T, reader: Reader[T]) -> T:
    made: Any = field(default=default, metadata={"read": reader})
    return made  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Server:
    """`[server]`: where to listen and what to accept. `max_body` is in bytes.

    `hosts` are names besides this machine's own under which the workbench may be reached.
    `token` opens the internal API under `start`, to those who send it. `tls_cert` and `tls_key`
    are PEM files, relative to the project. `compression` is the size from which answers are packed.
    `body_timeout_s` grows by a second per kilobyte. The files of a form beyond `upload_memory`
    bytes go to disk. `stream_timeout_s` counts from the head of an answer in parts: 0 has no end,
    None leaves it to the step's own time limit.
    """

    host: str = _setting("127.0.0.1", values.text)
    port: int = _setting(5173, values.integer(0, 65535))
    max_body: int = _setting(16 << 20, values.size(1))
    max_fields: int = _setting(1000, values.integer(1))
    max_files: int = _setting(100, values.integer(0))
    upload_memory: int = _setting(1 << 20, values.size(0))
    request_timeout_s: float = _setting(60.0, values.seconds(0.001))
    stream_timeout_s: float | None = _setting(None, values.optional(values.seconds(0.0)))
    hosts: tuple[str, ...] = _setting((), values.texts)
    token: str | None = _setting(None, values.optional(values.text))
    static: Mapping[str, str] = field(default_factory=dict, metadata={"read": values.folders})
    static_max_age_s: float = _setting(0.0, values.seconds(0.0))
    etag: bool = _setting(True, values.flag)
    compression: int | None = _setting(None, values.from_size(1024))
    access_log: bool = _setting(False, values.flag)
    tls_cert: str | None = _setting(None, values.optional(values.text))
    tls_key: str | None = _setting(None, values.optional(values.text))
    trusted_proxies: tuple[str, ...] = _setting((), values.texts)
    max_header: int = _setting(64 << 10, values.size(1024))
    max_connections: int = _setting(10_000, values.integer(1))
    keep_alive_s: float = _setting(65.0, values.seconds(0.0))
    header_timeout_s: float = _setting(30.0, values.seconds(0.001))
    body_timeout_s: float = _setting(60.0, values.seconds(0.001))
    send_timeout_s: float = _setting(60.0, values.seconds(0.001))
    backlog: int = _setting(2048, values.integer(1, 65535))


@dataclass(frozen=True, slots=True)
class Cors:
    """`[cors]`: which pages of other origins may use the project's routes.

    `origins` None: in development those of this machine, in production none.
    """

    origins: tuple[str, ...] | None = _setting(None, values.texts)
    methods: tuple[str, ...] = _setting(
        ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"), values.texts
    )
    headers: tuple[str, ...] = _setting(("*",), values.texts)
    expose: tuple[str, ...] = _setting(("x-trace-id", "x-request-id"), values.texts)
    credentials: bool = _setting(False, values.flag)
    max_age_s: float = _setting(600.0, values.seconds(0.0))


@dataclass(frozen=True, slots=True)
class Steps:
    """`[steps]`: where steps are, and how strictly they are held to their configs.

    `roots` may be missing, `extra` folders must exist; both are relative to the project, and so
    are the files of `middleware`, which run around all API steps of their runner.
    """

    roots: tuple[str, ...] = _setting(("steps", "src"), values.texts)
    extra: tuple[str, ...] = _setting((), values.texts)
    middleware: tuple[str, ...] = _setting((), values.texts)
    emits: Literal["warn", "strict"] = _setting("warn", values.choice("warn", "strict"))
    input: Literal["warn", "strict"] = _setting("warn", values.choice("warn", "strict"))
    validate: Literal["check", "parse"] = _setting("check", values.choice("check", "parse"))


@dataclass(frozen=True, slots=True)
class Events:
    """`[events]`: how deliveries run and are retried, where a step does not say it itself.

    `concurrency` is per subscribing step. Over `slow_at` deliveries that are ready, `emit` is
    answered no faster than they go, over `max_waiting` it is refused. An event's id keeps others
    with the same id out for `dedup_window_s`. Dead letters are kept for `dead_retention_days`.
    """

    concurrency: int = _setting(64, values.integer(1))
    max_retries: int = _setting(3, values.integer(0, 1000))
    backoff_base_s: float = _setting(1.0, values.seconds(0.001))
    backoff_cap_s: float = _setting(300.0, values.seconds(0.001))
    timeout_s: float = _setting(300.0, values.seconds(0.001))
    max_waiting: int = _setting(1_000_000, values.integer(1))
    slow_at: int = _setting(20_000, values.integer(0))
    dedup_window_s: float = _setting(86_400.0, values.seconds(0.0))
    dead_retention_days: float = _setting(30.0, values.number(0.0))


@dataclass(frozen=True, slots=True)
class Storage:
    """`[storage]`: where the data is, relative to the project, and when it is synced to disk."""

    path: str = _setting(".stepweave", values.text)
    durability: Literal["edge", "commit", "process"] = _setting(
        "edge", values.choice("edge", "commit", "process")
    )


@dataclass(frozen=True, slots=True)
class Traces:
    """`[traces]`: what is recorded of each run, for how long and in how much space."""

    enabled: bool = _setting(True, values.flag)
    retention_hours: float = _setting(72.0, values.number(0.01))
    max_mb: int = _setting(512, values.integer(1))
    preview_bytes: int = _setting(4096, values.size(0))


@dataclass(frozen=True, slots=True)
class Runner:
    """`[runners.<name>]`: the children of one language. None leaves a choice to its runner.json.

    A language that Stepweave does not ship needs `path`, the folder of its runner.json, relative
    to the project. `window` is the most calls that one child runs at once. The last four before
    `env` are about children that lag or have grown; 0 switches each of them off.
    """

    processes: int = _setting(1, values.integer(1, 256))
    interpreter: str | None = _setting(None, values.optional(values.text))
    path: str | None = _setting(None, values.optional(values.text))
    window: int = _setting(256, values.integer(1, 100_000))
    start_timeout_s: float = _setting(30.0, values.seconds(0.001))
    restart_base_s: float = _setting(0.1, values.seconds(0.0))
    restart_cap_s: float = _setting(5.0, values.seconds(0.001))
    cancel_grace_s: float = _setting(5.0, values.seconds(0.0))
    lag_warning_s: float = _setting(1.0, values.seconds(0.0))
    unresponsive_s: float = _setting(0.0, values.seconds(0.0))
    recycle_calls: int = _setting(0, values.integer(0))
    recycle_mb: int = _setting(0, values.integer(0))
    env: Mapping[str, str] = field(default_factory=dict, metadata={"read": values.variables})


@dataclass(frozen=True, slots=True)
class Shutdown:
    """`[shutdown]`: how long running work may take to finish after SIGTERM."""

    grace_s: float = _setting(10.0, values.seconds(0.0))


@dataclass(frozen=True, slots=True)
class Cron:
    """`[cron]`: the time zone of steps that name none; None is the server's."""

    timezone: str | None = _setting(None, values.optional(values.timezone))


@dataclass(frozen=True, slots=True)
class Streams:
    """`[streams]`: who may follow streams, and what one client may cost. Sizes are in bytes.

    `auth` is the file with streamAuth, relative to the project. `origins` are those of the pages
    that may open a WebSocket; none means all. `recheck_s` is how often canAccess is asked about
    those who follow already, None only once. `buffer` is what is kept for a client that does not
    keep up.
    """

    auth: str | None = _setting(None, values.optional(values.text))
    origins: tuple[str, ...] = _setting((), values.origins)
    access_timeout_s: float = _setting(10.0, values.seconds(0.001))
    recheck_s: float | None = _setting(None, values.optional(values.seconds(0.01)))
    ping_s: float = _setting(20.0, values.seconds(0.01))
    buffer: int = _setting(1 << 20, values.size(1))
    max_message: int = _setting(64 << 10, values.size(256))
    max_subscriptions: int = _setting(1000, values.integer(1))


@dataclass(frozen=True, slots=True)
class Settings:
    """All sections. `name` is the project's name if stepweave.toml gives one."""

    name: str | None = _setting(None, values.optional(values.text))
    server: Server = Server()
    cors: Cors = Cors()
    steps: Steps = Steps()
    events: Events = Events()
    storage: Storage = Storage()
    traces: Traces = Traces()
    runners: Mapping[str, Runner] = field(default_factory=dict)
    shutdown: Shutdown = Shutdown()
    cron: Cron = Cron()
    streams: Streams = Streams()

    def runner(self, name: str) -> Runner:
        """The settings of one runner, which are the defaults if the project says nothing."""
        return self.runners.get(name, Runner())
