"""Steps that keep the book (see `book`), in the language of each runner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["LANGUAGES", "accept", "handler"]

LANGUAGES = ("python", "typescript", "ruby")
"""One for each runner."""

_SUFFIX = {"python": ".step.py", "typescript": ".step.ts", "ruby": ".step.rb"}

_EVENT = {
    "python": """
import asyncio, os
_book = os.open("book", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
def note(kind, id, attempt):
    os.write(_book, f"{kind} {id} {attempt}\\n".encode())
config = {"type": "event", "name": "%(name)s", "subscribes": ["%(topic)s"], %(config)s}
async def handler(data, context):
    state, streams, emit = context.state, context.streams, context.emit
    note("b", data["id"], context.attempt)
    if data.get("pause"): await asyncio.sleep(data["pause"] / 1000)
    %(body)s
    note("e", data["id"], context.attempt)
""",
    "typescript": """
import { openSync, writeSync } from 'node:fs'
const book = openSync('book', 'a')
const note = (kind: string, id: string, attempt: number) =>
  writeSync(book, `${kind} ${id} ${attempt}\\n`)
export const config = { type: 'event', name: '%(name)s', subscribes: ['%(topic)s'], %(config)s }
export const handler = async (data: any, { state, streams, emit, attempt }: any) => {
  note('b', data.id, attempt)
  if (data.pause) await new Promise((done) => setTimeout(done, data.pause))
  %(body)s
  note('e', data.id, attempt)
}
""",
    "ruby": """
BOOK = File.open('book', 'a')
def note(kind, id, attempt) = BOOK.syswrite("#{kind} #{id} #{attempt}\\n")
def config = { type: 'event', name: '%(name)s', subscribes: ['%(topic)s'], %(config)s }
def handler(data, context)
  state, streams = context.state, context.streams
  note('b', data['id'], context.attempt)
  sleep data['pause'] / 1000.0 if data['pause']
  %(body)s
  note('e', data['id'], context.attempt)
end
""",
}
_ACCEPT = {
    "python": """
config = {"type": "api", "name": "%(name)s", "method": "POST", "path": "%(path)s"}
async def handler(req, context):
    for event in req.body:
        group = {"messageGroupId": event["group"]} if "group" in event else {}
        await context.emit({"topic": event["topic"], "data": event, **group})
    return {"status": 202}
""",
    "typescript": """
export const config = { type: 'api', name: '%(name)s', method: 'POST', path: '%(path)s' }
export const handler = async (req: any, { emit }: any) => {
  for (const event of req.body) {
    const group = event.group ? { messageGroupId: event.group } : {}
    await emit({ topic: event.topic, data: event, ...group })
  }
  return { status: 202 }
}
""",
    "ruby": """
def config = { type: 'api', name: '%(name)s', method: 'POST', path: '%(path)s' }
def handler(req, context)
  req.body.each do |event|
    group = event['group'] ? { messageGroupId: event['group'] } : {}
    context.emit(topic: event['topic'], data: event, **group)
  end
  { status: 202 }
end
""",
}
_ENTRY = {"python": '"%s": %s', "typescript": "%s: %s", "ruby": "%s: %s"}
_TRUE = {"python": "True", "typescript": "true", "ruby": "true"}


def handler(
    language: str,
    name: str,
    topic: str,
    body: str = "",
    *,
    fifo: bool = False,
    atomic: bool = False,
    throttle: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """An event step that writes a line, pauses `data.pause` ms, runs the code and writes a line."""
    entry = _ENTRY[language]
    config = []
    queue: dict[str, Any] = {"type": "fifo"} if fifo else {}
    if throttle is not None:
        queue["throttle"] = throttle
    if queue:
        # What JSON writes, each of the languages can read.
        config.append(entry % ("infrastructure", json.dumps({"queue": queue})))
    if atomic:
        config.append(entry % ("atomic", _TRUE[language]))
    if language == "python" and not body:
        body = "pass"
    text = _EVENT[language] % {
        "name": name,
        "topic": topic,
        "config": ", ".join(config),
        "body": body.strip(),
    }
    return {f"steps/{name}{_SUFFIX[language]}": text}


def accept(language: str) -> dict[str, str]:
    """POST /accept/LANGUAGE emits a list of events, each to its `topic` and `group`, and answers
    202 when all are accepted."""
    name = f"accept_{language}"
    text = _ACCEPT[language] % {"name": name, "path": f"/accept/{language}"}
    return {f"steps/{name}{_SUFFIX[language]}": text}
