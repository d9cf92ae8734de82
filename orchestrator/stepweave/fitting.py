"""What the settings of a project mean for its parts."""

from __future__ import annotations

from pathlib import Path

from stepweave.engine.bus import BusOptions
from stepweave.http.finish import Finish
from stepweave.http.guard import Guard
from stepweave.http.intake import Intake
from stepweave.http.static import Static
from stepweave.http.uploads import Uploads
from stepweave.project import Project, SettingsError
from stepweave.project.settings import Settings
from stepweave.runners import manifest
from stepweave.runners.manifest import Manifest
from stepweave.runners.options import PoolOptions
from stepweave.steps.model import Backoff, Defaults, QueueOptions

__all__ = [
    "bus_options", "defaults", "finish", "guard", "intake", "manifests", "pool_options",
    "static_files",
]  # fmt: skip


def manifests(project: Project) -> list[Manifest]:
    """The runners that there are, those of the project among them. Raises SettingsError."""
    manifests = manifest.built_in()
    for name, runner in project.settings.runners.items():
        if runner.path is not None:
            found = manifest.load(project.root / runner.path)
            manifests = [each for each in manifests if each.name != name] + [found]
        elif name not in {each.name for each in manifests}:
            known = ", ".join(each.name for each in manifests)
            raise SettingsError(
                f"[runners.{name}]: there is no such runner; there are {known} (node runs "
                'TypeScript and JavaScript). One of your own needs path = "its folder"'
            )
    return manifests


def pool_options(settings: Settings, name: str, middleware: tuple[str, ...]) -> PoolOptions:
    """How the processes of a runner are kept."""
    runner = settings.runner(name)
    return PoolOptions(
        processes=runner.processes,
        interpreter=runner.interpreter,
        window=runner.window,
        start_timeout_s=runner.start_timeout_s,
        restart_base_s=runner.restart_base_s,
        restart_cap_s=runner.restart_cap_s,
        cancel_grace_s=runner.cancel_grace_s,
        lag_warning_s=runner.lag_warning_s,
        unresponsive_s=runner.unresponsive_s,
        recycle_calls=runner.recycle_calls,
        recycle_mb=runner.recycle_mb,
        parses=settings.steps.validate == "parse",
        middleware=middleware,
        env=runner.env,
    )


def bus_options(settings: Settings) -> BusOptions:
    """How events are delivered."""
    return BusOptions(
        concurrency=settings.events.concurrency,
        max_waiting=settings.events.max_waiting,
        slow_at=settings.events.slow_at,
        dedup_window_ms=int(settings.events.dedup_window_s * 1000),
        strict_emits=settings.steps.emits == "strict",
        strict_input=settings.steps.input == "strict",
    )


def defaults(settings: Settings) -> Defaults:
    """What holds for steps that say nothing of it."""
    backoff = Backoff(base_s=settings.events.backoff_base_s, max_s=settings.events.backoff_cap_s)
    return Defaults(
        api_timeout_s=settings.server.request_timeout_s,
        timeout_s=settings.events.timeout_s,
        queue=QueueOptions(max_retries=settings.events.max_retries, backoff=backoff),
        parses=settings.steps.validate == "parse",
    )


def finish(settings: Settings) -> Finish:
    """What becomes of whole answers."""
    return Finish(etag=settings.server.etag, pack_from=settings.server.compression)


def intake(settings: Settings, folder: Path) -> Intake:
    """How bodies are read; large files go into the folder."""
    server = settings.server
    return Intake(
        Uploads(folder, server.upload_memory),
        max_body=server.max_body,
        max_fields=server.max_fields,
        max_files=server.max_files,
    )


def guard(settings: Settings, key: str, *, development: bool) -> Guard:
    """Who may reach the internal API; `key` is that of this run."""
    server = settings.server
    return Guard(hosts=(server.host, *server.hosts), token=server.token, open=development, key=key)


def static_files(project: Project, finish: Finish) -> Static | None:
    """The files that are served, if any are."""
    server = project.settings.server
    if not server.static:
        return None
    return Static(project.root, server.static, server.static_max_age_s, finish)
