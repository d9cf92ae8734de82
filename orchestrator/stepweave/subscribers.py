"""Remembers who takes which events, over restarts.

A step that was mistyped and then deployed does not load, and nothing says any more what it
subscribes to. Its events would be lost; so they are recorded for it as long as its file is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import orjson

from stepweave.engine.delivery.awaited import Awaited
from stepweave.steps.model import Kind
from stepweave.steps.registry import Registry

__all__ = ["Subscribers"]


class Subscribers:
    """The event steps that loaded last, by file. `warn` gets a sentence for people."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        """`path` is a JSON file; without it, or if it is damaged, nothing is remembered."""
        self._path = path
        self._warn = warn
        self._known = _read(path)
        self._told: set[str] = set()

    def update(self, registry: Registry) -> tuple[Awaited, ...]:
        """Take note of what is registered; returns the steps that do not load, but did."""
        present = {
            step.relpath: Awaited(
                step.name,
                tuple(dict.fromkeys(step.subscribes)),
                int(step.infrastructure.queue.delay_s * 1000),
                step.infrastructure.queue.priority,
            )
            for step in registry.of_kind(Kind.EVENT)
        }
        broken = {entry.found.relpath for entry in registry.entries if entry.item is None}
        awaited = {
            path: each
            for path, each in self._known.items()
            if path in broken and each.name not in registry.steps
        }
        for path, each in awaited.items():
            if path not in self._told:
                self._warn(f"{path} does not load; events for {each.name} wait until it does")
        self._told = set(awaited)
        known = present | awaited
        if known != self._known:
            self._known = known
            self._write()
        return tuple(awaited.values())

    def _write(self) -> None:
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.write_bytes(
                orjson.dumps({path: tuple(each) for path, each in self._known.items()})
            )
            os.replace(beside, self._path)
        except OSError as error:
            self._warn(
                f"{self._path}: cannot be written ({error.strerror}); "
                "events of steps that do not load after a restart will be lost"
            )


def _read(path: Path) -> dict[str, Awaited]:
    try:
        return {
            relpath: Awaited(str(name), tuple(map(str, topics)), int(delay_ms), int(priority))
            for relpath, (name, topics, delay_ms, priority) in orjson.loads(
                path.read_bytes()
            ).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
