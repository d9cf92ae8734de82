"""Requests that go on while servers come and go, and what was answered to them."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.faults.book import Book
from tests.faults.handlers import LANGUAGES
from tests.faults.ondisk import left
from tests.faults.scenarios.scale import Scale
from tests.faults.server import LIMIT_S, Server, started, until

__all__ = ["Feeder", "Site", "accept", "feeding", "settled"]

_T = TypeVar("_T")

_BATCH = 20
_BACKLOG = 1500


class Site:
    """The server that runs now, if one does, and the book of all of them."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        self.book = Book(root)
        self.over = threading.Event()
        self.url: str | None = None
        self._dead: list[str] = []
        self._options = options
        self._stack = contextlib.ExitStack()

    def open(self, *, ready: bool = True) -> Server:
        """Start a server, and wait until it serves unless told not to."""
        self.server = self._stack.enter_context(started(self.root, ready=ready, **self._options))
        if ready:
            self.url = str(self.server.http.base_url)
            while self._dead:
                self.book.note("d", self._dead.pop())
        return self.server

    def kill(self) -> None:
        """Kill the orchestrator; its runners may go on until the next one begins."""
        self.book.note("k", "orchestrator")
        self.server.process.kill()
        self.server.wait()
        self.url = None
        self._dead.append("orchestrator")
        self._stack.close()

    def stop(self) -> None:
        """End the server as a person would."""
        self.url = None
        self.server.process.terminate()
        assert self.server.wait() == 0, self.server.output.read_text()[-2000:]
        self._stack.close()

    def close(self) -> None:
        """Let go of what still runs."""
        self._stack.close()


class Feeder(threading.Thread):
    """Sends batches through one language's `accept` until the site is over.

    `accepted` are the ids of events whose request was answered with 202, with the time of that
    (monotonic ns); `doubtful` those whose request was not answered so: they may have been taken.
    An event to a topic that begins with `ordered.` gets one of `groups` groups of that topic and
    of this feeder, and a number that grows in it.
    """

    def __init__(
        self, site: Site, language: str, topics: list[str], dice: random.Random, groups: int = 1
    ) -> None:
        super().__init__(daemon=True)
        self.accepted: dict[str, int] = {}
        self.doubtful: set[str] = set()
        self.problem: Exception | None = None
        self._site = site
        self._language = language
        self._topics = topics
        self._dice = dice
        self._groups = [f"{language}{n}" for n in range(groups)]
        self._numbers: dict[str, int] = {}
        self._count = 0

    @property
    def runs(self) -> int:
        """How many runs of handlers the accepted events bring about."""
        return len(self.accepted)

    def run(self) -> None:
        """Send, and hold back while much waits."""
        try:
            with httpx.Client(timeout=LIMIT_S) as client:
                while not self._site.over.is_set():
                    url = self._site.url
                    waiting = self.runs * len(LANGUAGES) - len(self._site.book.ended)
                    if url is None or waiting > _BACKLOG:
                        self._site.over.wait(0.01)
                    else:
                        self._send(client, url)
        except Exception as error:
            self.problem = error

    def _send(self, client: httpx.Client, url: str) -> None:
        batch = [self.event() for _ in range(_BATCH)]
        ids = {event["id"] for event in batch}
        try:
            answer = client.post(f"{url}/accept/{self._language}", json=batch)
        except httpx.ConnectError:
            self._site.over.wait(0.02)
            return
        except httpx.TransportError:
            self.doubtful |= ids
            return
        if answer.status_code == 202:
            self.accepted |= dict.fromkeys(ids, time.monotonic_ns())
        else:
            assert answer.status_code in (500, 503), answer.text
            self.doubtful |= ids

    def event(self) -> dict[str, Any]:
        """The next event: a topic, an id, and what its handler is to do."""
        topic = self._dice.choice(self._topics)
        event: dict[str, Any] = {"topic": topic, "pause": self._dice.choice((0, 0, 0, 2, 10))}
        if topic.startswith("ordered."):
            group = f"{self._dice.choice(self._groups)}.{topic}"
            self._numbers[group] = number = self._numbers.get(group, 0) + 1
            event |= {"id": f"{group}/{number}", "group": group, "n": number}
        else:
            self._count += 1
            event |= {"id": f"{self._language}{self._count}", "n": self._count}
        return event


@contextlib.contextmanager
def feeding(
    site: Site,
    topics: list[str],
    dice: random.Random,
    groups: int = 1,
    kind: Callable[..., Feeder] = Feeder,
) -> Iterator[list[Feeder]]:
    """A feeder for each language; at the end they are stopped and what went wrong is raised."""
    feeders = [kind(site, name, topics, dice, groups) for name in LANGUAGES]
    for feeder in feeders:
        feeder.start()
    try:
        yield feeders
    finally:
        site.over.set()
        for feeder in feeders:
            feeder.join(LIMIT_S)
    for feeder in feeders:
        if feeder.problem is not None:
            raise feeder.problem


def accept(
    site: Site,
    topics: list[str],
    scale: Scale,
    meanwhile: Callable[[], _T],
    *,
    groups: int = 1,
    kind: Callable[..., Feeder] = Feeder,
) -> tuple[set[str], set[str], _T]:
    """Feed until that is over and `scale.events` are accepted: the accepted, the doubtful, and
    what `meanwhile` gave."""
    with feeding(site, topics, scale.dice("events"), groups, kind) as feeders:
        given = meanwhile()
        while (count := sum(len(feeder.accepted) for feeder in feeders)) < scale.events:
            scale.say(f"{count} of {scale.events} events accepted")
            site.book.read()
            assert all(feeder.is_alive() for feeder in feeders), "somebody stopped sending"
            time.sleep(0.05)
    accepted = set[str]().union(*(feeder.accepted for feeder in feeders))
    doubtful = set[str]().union(*(feeder.doubtful for feeder in feeders))
    return accepted, doubtful, given


def settled(site: Site, accepted: set[str]) -> None:
    """Wait until every accepted event has been handled and nothing waits in the store.

    Fails when nothing moves any more.
    """
    before = -1
    while before < (before := len(site.book.read().ended)):
        with contextlib.suppress(AssertionError):
            until(lambda: accepted <= site.book.read().ended.keys(), "what was accepted")
            until(lambda: left(site.root)[0] == 0, "the end of what followed")
            return
    lost = sorted(accepted - site.book.ended.keys())
    raise AssertionError(
        f"lost or stuck: {lost[:5]} of {len(lost)}; in the store: {left(site.root)}"
    )
