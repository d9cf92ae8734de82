"""The steps of the projects that are measured: loops of hops in each language, mixed and alone.

A hop is `{run, chain, left, note}` of about 200 bytes: its handler emits the next one until
none are left, then notes the time in state. Times are of the monotonic clock, which all
processes of a Linux machine share, in µs.
"""

from __future__ import annotations

__all__ = ["LANGUAGES", "MIXED", "batch", "ends", "loop", "loops", "start"]

LANGUAGES = ("typescript", "javascript", "python", "ruby")
MIXED = ("typescript", "python", "ruby", "javascript")
"""The order of the languages in a mixed chain, which begins anew after the last."""

_START = """
const now = () => Number(process.hrtime.bigint() / 1000n)
const note = 'x'.repeat(120)

exports.config = {
  type: 'api', name: 'StartHops', method: 'POST', path: '/bench/hops', emits: [@topics@],
}
exports.handler = async (req, { emit }) => {
  const { run, topic, chains, length, tenth } = req.body
  const at = now()
  const start = (name) => {
    const data = { run, chain: name, left: length, tenth, note }
    return emit({ topic, data, ...(topic.includes('fifo') && { messageGroupId: name }) })
  }
  await Promise.all(Array.from({ length: chains }, (_, chain) => start(`c${chain}`)))
  return { status: 200, body: { at } }
}
"""

_ENDS = """
exports.config = { type: 'api', name: 'Ends', method: 'POST', path: '/bench/ends', emits: [] }
exports.handler = async (req, { state }) => ({
  status: 200,
  body: await state.getGroup(req.body.run),
})
"""

_JAVASCRIPT = """
const now = () => Number(process.hrtime.bigint() / 1000n)

exports.config = {
  type: 'event', name: 'Hop @topic@', subscribes: ['@topic@'], emits: ['@then@'], @config@
}
exports.handler = async (hop, { emit, state }) => {
  if (hop.left > 0) await emit({ topic: '@then@', data: { ...hop, left: hop.left - 1 }, @emit@ })
  else await state.set(hop.run, hop.chain, { at: now() })
}
"""

_TYPESCRIPT = """
const now = () => Number(process.hrtime.bigint() / 1000n)
let seen = 0
let tenths = 0

export const config = {
  type: 'event', name: 'Hop @topic@', subscribes: ['@topic@'], emits: ['@then@'],
}
export const handler = async (hop: any, { emit, state }: any) => {
  if (hop.tenth && ++seen % hop.tenth === 0) {
    await state.set(`${hop.run} tenths`, String(++tenths).padStart(2, '0'), { at: now() })
  }
  if (hop.left > 0) await emit({ topic: '@then@', data: { ...hop, left: hop.left - 1 } })
  else await state.set(hop.run, hop.chain, { at: now() })
}
"""

_PYTHON = """
import time

config = {
    "type": "event", "name": "Hop @topic@", "subscribes": ["@topic@"], "emits": ["@then@"],
}
async def handler(hop, context):
    if hop["left"] > 0:
        await context["emit"]({"topic": "@then@", "data": {**hop, "left": hop["left"] - 1}})
    else:
        at = time.monotonic_ns() // 1000
        await context["state"].set(hop["run"], hop["chain"], {"at": at})
"""

_RUBY = """
def config
  {type: "event", name: "Hop @topic@", subscribes: ["@topic@"], emits: ["@then@"]}
end
def handler(hop, context)
  if hop["left"] > 0
    context[:emit].call(topic: "@then@", data: hop.merge("left" => hop["left"] - 1))
  else
    at = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
    context[:state].set(hop["run"], hop["chain"], {at: at})
  end
end
"""

_BATCH = """
const now = () => Number(process.hrtime.bigint() / 1000n)

exports.config = {
  type: 'event', name: 'Hop @topic@', subscribes: ['@topic@'], emits: ['@topic@'],
  infrastructure: { queue: { batch: { size: 100, waitMs: 0 } } },
}
exports.handler = async (events, { emit, state }) => {
  if (!Array.isArray(events)) throw new TypeError('no batch')
  await Promise.all(events.map((event) => {
    const hop = event.data ?? event
    if (hop.left === 0) return state.set(hop.run, hop.chain, { at: now() })
    return emit({ topic: '@topic@', data: { ...hop, left: hop.left - 1 } })
  }))
}
"""

_TEXT = {
    "javascript": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "python": _PYTHON,
    "ruby": _RUBY,
}
_FILE = {
    "javascript": "{}.step.js",
    "typescript": "{}.step.ts",
    "python": "{}_step.py",
    "ruby": "{}.step.rb",
}


def start(topics: list[str]) -> dict[str, str]:
    """The API step that starts chains on any of these topics."""
    listed = ", ".join(f"'{topic}'" for topic in topics)
    return {"start-hops.step.js": _START.replace("@topics@", listed)}


def ends() -> dict[str, str]:
    """The API step that tells which chains of a run have ended."""
    return {"ends.step.js": _ENDS}


def loop(
    language: str, topic: str, then: str | None = None, config: str = "", emit: str = ""
) -> dict[str, str]:
    """A step that hops from `topic` to `then`, or to itself.

    `config` and `emit` are further JavaScript keys of the config and of each emit.
    """
    text = _TEXT[language].replace("@config@", config).replace("@emit@", emit)
    return {_path(language, topic): text.replace("@topic@", topic).replace("@then@", then or topic)}


def loops() -> dict[str, str]:
    """A project with a loop `hop.<language>` in each, and `mixed.typescript` through all."""
    steps: dict[str, str] = {}
    for language in LANGUAGES:
        steps |= loop(language, f"hop.{language}")
    for here, there in zip(MIXED, (*MIXED[1:], MIXED[0]), strict=True):
        steps |= loop(here, f"mixed.{here}", f"mixed.{there}")
    topics = [f"hop.{language}" for language in LANGUAGES]
    return {**start([*topics, f"mixed.{MIXED[0]}"]), **ends(), **steps}


def batch(topic: str) -> dict[str, str]:
    """A JavaScript step that takes up to 100 hops at once."""
    return {_path("javascript", topic): _BATCH.replace("@topic@", topic)}


def _path(language: str, topic: str) -> str:
    name = topic.replace(".", "_" if language == "python" else "-")
    return _FILE[language].format(name)
