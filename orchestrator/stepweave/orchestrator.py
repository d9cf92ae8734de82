"""The composition root: opens the parts of a project, hands each what it needs, closes them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

from stepweave import fitting, logs, once, serving
from stepweave.calls import Call, Outcome
from stepweave.engine.bus import Bus
from stepweave.engine.cron import CronService
from stepweave.engine.desk.browser import Browser
from stepweave.engine.desk.ledger import Ledger
from stepweave.engine.desk.letters import Letters
from stepweave.engine.desk.retention import Retention
from stepweave.engine.invoker import Invoker
from stepweave.engine.state import State
from stepweave.engine.store.operations import StateClear
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.engine.streams import Streams
from stepweave.engine.traces import TraceStore
from stepweave.http import internal, manage
from stepweave.http.access_log import AccessLog
from stepweave.http.api_steps import ApiSteps
from stepweave.http.app import App
from stepweave.http.cors import Cors
from stepweave.http.manage import cron as manage_cron
from stepweave.insight import View
from stepweave.live import Live
from stepweave.loading import Loader
from stepweave.logs import LogHub
from stepweave.payload import Payload
from stepweave.project import Project
from stepweave.records import Records
from stepweave.reload import Reloader
from stepweave.runners import middleware
from stepweave.runners.context import Context
from stepweave.runners.leftovers import Leftovers
from stepweave.runners.options import PoolOptions
from stepweave.runners.pools import Pools
from stepweave.steps import discovery
from stepweave.steps.model import Entry, Found, Kind, Step
from stepweave.steps.registry import Registry
from stepweave.subscribers import Subscribers
from stepweave.watching import Watch

__all__ = ["Mode", "Orchestrator"]

Mode = Literal["dev", "start", "run"]


class Orchestrator:
    """A project, opened. Use as an async context manager; `serve` inside it.

    `mode` dev reloads what changes and shows everything; start does neither; run opens the
    project for one command: nothing is delivered or scheduled unless `work` is called.
    """

    def __init__(self, project: Project, mode: Mode, hub: LogHub) -> None:
        self.project = project
        self.mode: Mode = mode
        self.hub = hub
        self.registry: Registry = Registry.build((), ())
        self.entries: dict[str, Entry] = {}
        self.key = secrets.token_urlsafe(24)
        """Opens the internal API to this machine's commands, for as long as this runs."""
        self.ready = False
        self._uncovered: str | None = None
        self.records = Records(hub)
        self.on_reload: Callable[[Registry], None] = lambda registry: None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self._open(stack)
            self._parts = stack.pop_all()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._stopping.set()
        await self._parts.aclose()

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        """Make the parts in the order of their needs; they close in the reverse order."""
        settings = self.project.settings
        folder = self.project.storage
        self._loop = asyncio.get_running_loop()
        self.store = SqliteStore(folder, settings.storage.durability)
        stack.push_async_callback(self.store.close)
        self.traces = TraceStore(
            folder / "traces.sqlite",
            settings.traces,
            warn=self._warn_from_thread,
            on_trimmed=self._forget_traces,
        )
        stack.push_async_callback(asyncio.to_thread, self.traces.close)
        stack.enter_context(self._logging())
        self.state = State(self.store)
        self.streams = Streams(self.store, lambda name: name in self.registry.streams)
        self._leftovers = Leftovers(folder / "runners")
        await self._end_leftovers()
        self.pools = self._make_pools()
        stack.push_async_callback(self.pools.stop, settings.shutdown.grace_s)
        self.invoker = Invoker(self.pools, self.traces, self.store)
        self.bus = Bus(
            self.store,
            self.invoker,
            self.records.notice,
            fitting.bus_options(settings),
        )
        self._subscribers = Subscribers(
            folder / "subscribers.json", lambda text: self.records.notice("warn", text)
        )
        self._context.serve(self.bus, self.state, self.streams)
        self.cron = CronService(
            self.store,
            self.invoker,
            notice=self.records.notice,
            timezone=settings.cron.timezone,
        )
        finish = fitting.finish(settings)
        self.api = ApiSteps(
            self.invoker,
            self.store,
            self.records.notice,
            intake=fitting.intake(settings, folder / "uploads"),
            development=self.mode != "start",
            finish=finish,
            stream_timeout_s=settings.server.stream_timeout_s,
        )
        desk = manage.routes(
            Ledger(self.store, self.bus),
            Letters(self.store, self.bus),
            Browser(self.store),
            settings.server.max_body,
        )
        desk += manage_cron.routes(self._cron_service)
        guard = fitting.guard(settings, self.key, development=self.mode != "start")
        pages = internal.make(View(self), guard, desk)
        self.live = Live(
            self.project,
            self.store,
            self.streams,
            self.pools,
            lambda: self.registry,
            self.records.notice,
        )
        self.app = App(
            self.api,
            pages,
            self.registry.table,
            cors=Cors.make(settings.cors, development=self.mode != "start"),
            events=self.live.events,
            static=fitting.static_files(self.project, finish),
        )
        stack.push_async_callback(self._quiet)
        if self.mode == "dev":
            self._files = Watch(self.project.root, self.records.notice)
            stack.push_async_callback(self._files.close)
            await self._files.open()
        await self._load()

    # --- running

    async def work(self) -> None:
        """Deliver events, those left by the last run first, and run cron steps."""
        recovered = self.bus.recover()
        if recovered:
            self.records.notice("info", f"{recovered} deliveries of the last run are taken up")
        self.cron.start(self.registry.of_kind(Kind.CRON))
        if self.mode != "run":
            days = self.project.settings.events.dead_retention_days
            self._background(Retention(self.store, days, self.records.notice).run())
        if self.mode == "dev":
            self._background(self._watch())
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        # The threads that write to disk must not hold the loop up for the usual 5 ms.
        sys.setswitchinterval(0.0005)
        self.ready = True

    async def serve(
        self, listener: socket.socket, on_ready: Callable[[str], None] = lambda url: None
    ) -> None:
        """Answer requests on a bound socket until `stop`; then finish what runs."""
        settings = self.project.settings
        server = serving.make(
            AccessLog(self.app, self.hub) if settings.server.access_log else self.app,
            settings.server,
            self.project.root,
            sockets=self.live.sockets.link,
            grace_s=settings.shutdown.grace_s,
        )
        serving_task = self._loop.create_task(server.serve(sockets=[listener]))
        try:
            await self.live.auth.load()
            await self.work()
            on_ready(serving.url_of(listener, secure=server.config.is_ssl))
            stopped = self._loop.create_task(self._stopping.wait())
            await asyncio.wait((serving_task, stopped), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
        finally:
            self.ready = False
            self.bus.stop()
            self.cron.stop()
            self._loop.call_later(settings.shutdown.grace_s / 2, self.api.wind_up)
            server.should_exit = True
            await self.live.close(self.project.settings.shutdown.grace_s)
            await serving_task

    def stop(self) -> None:
        """Make `serve` return once what runs is finished or its grace is over."""
        self._stopping.set()

    async def publish(self, topic: str, data: Payload | None, **more: Any) -> str:
        """Publish an event from outside any step; its id, once it survives a power cut."""
        return await once.publish(self.bus, self.store, topic, data, **more)

    async def run_step(
        self, step: Step, kind: Literal["api", "event", "cron"], input: dict[str, Any]
    ) -> tuple[Call, Outcome]:
        """Run one step once, as a trace of its own; its emits are recorded as always."""
        return await once.run(self.invoker, step, kind, input)

    # --- parts

    def _make_pools(self) -> Pools:
        settings = self.project.settings
        self._context = Context(self.records)
        manifests = fitting.manifests(self.project)
        self._middleware = middleware.assign(
            settings.steps.middleware, self.project.root, manifests
        )

        def options(name: str) -> PoolOptions:
            return fitting.pool_options(settings, name, self._middleware.get(name, ()))

        return Pools(
            manifests,
            self._context,
            self.project.root,
            options=options,
            env={**self.project.env, **os.environ},
            cache=self.project.storage / "cache",
            on_spawn=self._leftovers.note,
            max_frame=settings.server.max_body + (1 << 20),
            development=self.mode != "start",
            notice=self.records.notice,
        )

    async def _end_leftovers(self) -> None:
        """Nobody else may work on what will be delivered again."""
        ended = await asyncio.to_thread(self._leftovers.end)
        if ended:
            self.records.notice("warn", f"{ended} runners of the last run were there and are ended")

    def _discover(self) -> discovery.Discovery:
        steps = self.project.settings.steps
        return discovery.discover(
            self.project.root, steps.roots, steps.extra, extensions=self.pools.extensions
        )

    async def _load(self) -> None:
        found = self._discover()
        defaults = fitting.defaults(self.project.settings)
        self._loader = Loader(self.project.root, self.pools, defaults)
        self._reloader = Reloader(self.pools, self._loader, self._found, self.records.notice)
        self.entries = await self._loader.load_all(found.found)
        self._publish(found)

    def _found(self) -> tuple[Found, ...]:
        return self._discover().found

    def _publish(self, found: discovery.Discovery) -> None:
        """Swap to a registry of the present entries, everywhere at once."""
        ordered = [self.entries[relpath] for relpath in sorted(self.entries)]
        self.registry = Registry.build(ordered, found.problems)
        self.app.routes = self.registry.table
        awaited = self._subscribers.update(self.registry)
        self.bus.subscribe(self.registry.of_kind(Kind.EVENT), awaited)
        languages = [step.language for step in self.registry.of_kind(Kind.API)]
        warning = middleware.uncovered(self._middleware, languages, self.pools.manifests.values())
        if warning is not None and warning != self._uncovered:
            self.records.notice("warn", warning)
        self._uncovered = warning

    async def _watch(self) -> None:
        async for paths in self._files:
            try:
                await self._reload(paths)
            except Exception:
                # The next edit must find somebody who listens.
                logging.getLogger(__name__).exception("an edit could not be taken up")

    async def _reload(self, paths: set[str]) -> None:
        for name in ("stepweave.toml", ".env"):
            if str(self.project.root / name) in paths:
                self.records.notice("warn", f"{name} has changed; it is read again at a restart")
        entries = await self._reloader.apply(paths, self.entries)
        await self.live.auth.changed(paths)
        if entries is None:
            return
        self.entries = entries
        self._publish(self._discover())
        self.cron.reschedule(self.registry.of_kind(Kind.CRON))
        self.on_reload(self.registry)

    async def _cron_service(self) -> CronService:
        return self.cron

    def _warn_from_thread(self, message: str) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.records.notice, "warn", message)

    def _forget_traces(self, trace_ids: list[str]) -> None:
        """Clear the state kept under traces that left; called on the trace store's thread."""
        operations = [StateClear(trace_id) for trace_id in trace_ids]
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.store.submit, operations)

    def _background(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @contextlib.contextmanager
    def _logging(self) -> Iterator[None]:
        """Keep records on disk, and take in those of the libraries."""
        root = logging.getLogger()
        bridge = logs.Bridge(self.hub)
        self.hub.add(self.traces)
        root.addHandler(bridge)
        try:
            yield
        finally:
            root.removeHandler(bridge)
            self.hub.remove(self.traces)

    async def _quiet(self) -> None:
        """Begin nothing any more."""
        for task in list(self._tasks):
            task.cancel()
        self.bus.stop()
        self.cron.stop()
        self._reloader.close()
