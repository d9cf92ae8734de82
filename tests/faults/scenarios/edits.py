"""Steps edited under load: no request fails, no event is lost, and what is new is served."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import httpx

from tests.faults import handlers
from tests.faults.load import Site, feeding, settled
from tests.faults.ondisk import left
from tests.faults.scenarios.scale import Figures, Scale
from tests.faults.server import LIMIT_S, until
from tests.flows.harness import write

__all__ = ["run"]

_VERSION = {
    "python": """
config = {"type": "api", "name": "version_python", "method": "GET", "path": "/version/python"}
async def handler(req, context):
    return {"status": 200, "body": {"number": %d}}
""",
    "typescript": """
export const config = {
  type: 'api', name: 'version_typescript', method: 'GET', path: '/version/typescript',
}
export const handler = async () => ({ status: 200, body: { number: %d } })
""",
    "ruby": """
def config = { type: 'api', name: 'version_ruby', method: 'GET', path: '/version/ruby' }
def handler(_req, _context) = { status: 200, body: { number: %d } }
""",
}
_SUFFIX = {"python": ".step.py", "typescript": ".step.ts", "ruby": ".step.rb"}
_COMMENT = {"python": "pass  # %d", "typescript": "// %d", "ruby": "# %d"}


class _Visitor(threading.Thread):
    """Asks for the version of one language's step until the site is over."""

    def __init__(self, site: Site, language: str) -> None:
        super().__init__(daemon=True)
        self.language = language
        self.newest = -1
        self.answers = 0
        self.wrong: list[str] = []
        self._site = site

    def run(self) -> None:
        with httpx.Client(base_url=self._site.url or "", timeout=LIMIT_S) as client:
            while not self._site.over.is_set():
                answer = client.get(f"/version/{self.language}")
                self.answers += 1
                if answer.status_code == 200:
                    self.newest = max(self.newest, answer.json()["number"])
                else:
                    self.wrong.append(f"{answer.status_code} {answer.text[:500]}")


def run(root: Path, scale: Scale) -> Figures:
    """Edit a step that answers or one that takes events, `faults` times in all."""
    files: dict[str, str] = {}
    for name in handlers.LANGUAGES:
        files |= handlers.accept(name) | _events(name, 0) | _version(name, 0)
    write(root, files)
    site = Site(root, command="dev")
    dice = scale.dice()
    written = dict.fromkeys(handlers.LANGUAGES, 0)
    try:
        site.open()
        visitors = [_Visitor(site, name) for name in handlers.LANGUAGES]
        topics = [f"loose.{name}" for name in handlers.LANGUAGES]
        with feeding(site, topics, scale.dice("events")) as feeders:
            for visitor in visitors:
                visitor.start()
            for number in range(1, scale.faults + 1):
                scale.say(f"edit {number} of {scale.faults}")
                _edit(root, dice, number, written)
                time.sleep(dice.uniform(0.0, 0.2))
                site.book.read()
                if number % 10 == 0 or number == scale.faults:
                    _served(visitors, written)
        for visitor in visitors:
            visitor.join(LIMIT_S)
        accepted = set[str]().union(*(feeder.accepted for feeder in feeders))
        doubtful = set[str]().union(*(feeder.doubtful for feeder in feeders))
        settled(site, accepted)
        site.stop()
    finally:
        site.close()
    assert not doubtful, "a request failed"
    assert not any(visitor.wrong for visitor in visitors), [each.wrong for each in visitors]
    assert left(root) == (0, 0)
    assert site.book.read().repeated == 0
    return {
        "edits": str(scale.faults),
        "requests": f"{sum(each.answers for each in visitors):,}, none failed",
        "events": f"{len(accepted):,}, none lost or repeated",
    }


def _edit(root: Path, dice: random.Random, number: int, written: dict[str, int]) -> None:
    language = dice.choice(handlers.LANGUAGES)
    if dice.random() < 0.5:
        write(root, _events(language, number))
    else:
        write(root, _version(language, number))
        written[language] = number


def _served(visitors: list[_Visitor], written: dict[str, int]) -> None:
    def served() -> bool:
        return all(visitor.newest == written[visitor.language] for visitor in visitors)

    until(served, f"what was edited last ({written})")


def _events(language: str, number: int) -> dict[str, str]:
    body = _COMMENT[language] % number
    return handlers.handler(language, f"loose_{language}", f"loose.{language}", body)


def _version(language: str, number: int) -> dict[str, str]:
    return {f"steps/version_{language}{_SUFFIX[language]}": _VERSION[language] % number}
