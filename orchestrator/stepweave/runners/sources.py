"""The steps of one pool in their revisions, and how children come to have them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepweave.errors import LoadFailed, RemoteError, RunnerGone, RunnerUnavailable
from stepweave.rpc import messages
from stepweave.runners.child import Child
from stepweave.runners.launch import Launch

__all__ = ["Loaded", "Source", "Sources"]

_PING_S = 1.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A runner's answer to load: the raw config payload and what the file exports."""

    config: tuple[str, bytes]
    exports: tuple[str, ...]
    warnings: tuple[str, ...]
    watch: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One revision of a step's file."""

    path: Path
    revision: int


class Sources:
    """The revisions of each step that are not unloaded, the newest last."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._kept: dict[str, list[Source]] = {}

    @property
    def handles(self) -> list[str]:
        """The steps that are loaded."""
        return list(self._kept)

    def has(self, handle: str, revision: int) -> bool:
        """Whether that revision of a step is kept."""
        return any(each.revision == revision for each in self._kept.get(handle, ()))

    def keep(self, handle: str, source: Source) -> None:
        """Give new children this revision, too."""
        self._kept.setdefault(handle, []).append(source)

    def drop(self, handle: str, revision: int | None = None) -> None:
        """Give new children this revision no more, or none of this step."""
        sources = self._kept.pop(handle, [])
        kept = [each for each in sources if revision is not None and each.revision != revision]
        if kept:
            self._kept[handle] = kept

    async def load(self, handle: str, source: Source, children: Sequence[Child]) -> Loaded:
        """Load a revision into these children, at least one. Raises LoadFailed as they tell it."""
        answers = await asyncio.gather(
            *(self.give(child, handle, source) for child in children), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, RemoteError):
                raise LoadFailed(answer.wire) from answer
            if isinstance(answer, RunnerGone | RunnerUnavailable):
                message = f"{answer}, while it loaded this file"
                wire = {"code": "load_failed", "message": message, "type": "RunnerGone"}
                raise LoadFailed(wire) from answer
            if isinstance(answer, BaseException):
                raise answer
        return _loaded(answers[0])

    async def give_all(self, child: Child) -> dict[str, LoadFailed]:
        """Give a new child every step, before its first call; the errors of those that fail.

        What is loaded into the others meanwhile is not left out. Raises RunnerUnavailable when
        the child ends of it.
        """
        given: dict[str, Source] = {}
        failures: dict[str, LoadFailed] = {}
        while wanted := {
            handle: sources[-1]
            for handle, sources in self._kept.items()
            if given.get(handle) is not sources[-1]
        }:
            results = await asyncio.gather(
                *(self.give(child, handle, source) for handle, source in wanted.items()),
                return_exceptions=True,
            )
            given |= wanted
            for handle, result in zip(wanted, results, strict=True):
                failures.pop(handle, None)
                if isinstance(result, RemoteError):
                    failures[handle] = LoadFailed(result.wire)
                elif isinstance(result, RunnerGone):
                    raise RunnerUnavailable(str(result)) from result
                elif isinstance(result, BaseException):
                    raise result
        return failures

    async def give_again(self, child: Child, handles: Iterable[str]) -> tuple[set[str], set[str]]:
        """Give a child the newest revisions of steps that it lacks: those that it has now, and
        those that it still lacks.

        Raises RunnerGone when the child has ended, or ends of it.
        """
        given, lacking = set(), set()
        for handle in handles:
            sources = self._kept.get(handle)
            if not sources or child.has(handle, sources[-1].revision):
                continue
            try:
                await self.give(child, handle, sources[-1])
            except RemoteError:
                lacking.add(handle)
            else:
                given.add(handle)
        return given, lacking

    async def give(self, child: Child, handle: str, source: Source) -> Mapping[str, Any]:
        """Load one revision into one child, whose answer it returns.

        Raises RemoteError when the file does not load, RunnerGone when the child ends of it.
        """
        params = {"step": handle, "path": str(source.path), "revision": source.revision}
        limit_s = self._launch.start_timeout_s
        child.loading += 1
        try:
            async with asyncio.timeout(limit_s):
                answer: Mapping[str, Any] = await child.peer.call(messages.LOAD, params)
        except TimeoutError as error:
            if not await child.responds(_PING_S):
                child.kill()
                title = self._launch.title
                raise RunnerGone(f"the {title} was stuck for {limit_s:g} s") from error
            text = f"the file did not load within {limit_s:g} s"
            raise LoadFailed({"code": "load_failed", "message": text}) from error
        finally:
            child.loading -= 1
        child.remember(handle, source.revision)
        return answer


def _loaded(answer: Any) -> Loaded:
    config = answer.get("config") if isinstance(answer, dict) else None
    if not (isinstance(config, tuple) and len(config) == 2):
        raise LoadFailed({"code": "load_failed", "message": "the runner's answer holds no config"})
    return Loaded(
        config=(config[0], config[1]),
        exports=tuple(answer.get("exports") or ()),
        warnings=tuple(str(text) for text in answer.get("warnings") or ()),
        watch=tuple(answer.get("watch") or ()),
    )
