"""Steps that note in a ledger what they have handled, one line for each run, in every language."""

from __future__ import annotations

from typing import Any

from tests.flows.languages import LANGUAGES

__all__ = ["NAMES", "batches", "events", "project"]

NAMES = list(LANGUAGES)

# An append is one write to a file opened for that, so no two lines mix and none is lost.
_NOTE = {
    "typescript": """
  const { appendFileSync, existsSync } = require('node:fs')
  await new Promise((r) => setTimeout(r, data.pause ?? 0))
  while (data.held && existsSync('hold')) await new Promise((r) => setTimeout(r, 10))
  appendFileSync('ledger', data.id + '\\n')""",
    "python": """
    import asyncio, os
    await asyncio.sleep(data.get('pause', 0) / 1000)
    while data.get('held') and os.path.exists('hold'): await asyncio.sleep(0.01)
    file = os.open('ledger', os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{data['id']}\\n".encode())
    os.close(file)""",
    "ruby": """
  sleep((data[:pause] || 0) / 1000.0)
  sleep 0.01 while data[:held] && File.exist?('hold')
  File.open('ledger', 'a') { |file| file.syswrite("#{data[:id]}\\n") }""",
}
_NOTE["javascript"] = _NOTE["typescript"]

_DIE = {
    "typescript": "\n  if (data.die) process.kill(process.pid, 'SIGKILL')",
    "python": "\n    if data.get('die'): os.kill(os.getpid(), 9)",
    "ruby": "\n  Process.kill(:KILL, Process.pid) if data[:die]",
}
_DIE["javascript"] = _DIE["typescript"]

_SPREAD = """
config = {
    "type": "api", "name": "Spread", "method": "POST", "path": "/spread",
    "emits": [EMITS],
}
async def handler(req, context):
    for event in req.body:
        await context.emit({"topic": f"note.{event['to']}", "data": event})
    return {"status": 202}
"""


def project() -> dict[str, str]:
    """A step in each language that notes an event's id, or dies then if the event says so; and
    POST /spread, which emits a list of events and answers 202 when all are accepted."""
    emits = ", ".join(f'"note.{name}"' for name in NAMES)
    files = {"steps/spread.step.py": _SPREAD.replace("EMITS", emits)}
    for name, language in LANGUAGES.items():
        files[f"steps/note_{name}{language.suffix}"] = language.event.format(
            name=f"Note{name}", subscribes=f"'note.{name}'", more="", body=_NOTE[name] + _DIE[name]
        )
    return files


def events(count: int, *, prefix: str = "e", **more: Any) -> list[dict[str, Any]]:
    """Events that go to the four languages in turn; `pause` is how long each takes in ms, and a
    `held` one does not end while there is a file called hold."""
    return [{"id": f"{prefix}{n}", "to": NAMES[n % len(NAMES)], **more} for n in range(count)]


def batches(items: list[Any], size: int) -> list[list[Any]]:
    """The items in order, in lists of so many."""
    return [items[at : at + size] for at in range(0, len(items), size)]
