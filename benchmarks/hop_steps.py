"""The project of the hops benchmark: one looping step per language and a chain through all.

Times are of the monotonic clock, which all processes of a Linux machine share, in µs.
"""

from __future__ import annotations

__all__ = ["STEPS"]

_START = """
const now = () => Number(process.hrtime.bigint() / 1000n)
const note = 'x'.repeat(120)

exports.config = {
  type: 'api', name: 'StartHops', method: 'POST', path: '/bench/hops',
  emits: ['hop.typescript', 'hop.javascript', 'hop.python', 'hop.ruby'],
}
exports.handler = async (req, { emit }) => {
  const { run, language, chains, length } = req.body
  const at = now()
  const start = (chain) =>
    emit({ topic: `hop.${language}`, data: { run, chain: `c${chain}`, left: length, note } })
  await Promise.all(Array.from({ length: chains }, (_, chain) => start(chain)))
  return { status: 200, body: { at } }
}
"""

_CHAIN = """
const now = () => Number(process.hrtime.bigint() / 1000n)
const note = 'x'.repeat(120)

exports.config = {
  type: 'api', name: 'StartChain', method: 'POST', path: '/bench/chain',
  emits: ['chain.typescript'],
}
exports.handler = async (req, { emit }) => {
  const { run, chain } = req.body
  await emit({ topic: 'chain.typescript', data: { run, chain: `c${chain}`, began: now(), note } })
  return { status: 200, body: {} }
}
"""

_ENDS = """
exports.config = { type: 'api', name: 'Ends', method: 'POST', path: '/bench/ends', emits: [] }
exports.handler = async (req, { state }) => ({
  status: 200,
  body: await state.getGroup(req.body.run),
})
"""

_LOOP_JS = """
const now = () => Number(process.hrtime.bigint() / 1000n)

exports.config = {
  type: 'event', name: 'HopJavaScript',
  subscribes: ['hop.javascript'], emits: ['hop.javascript'],
}
exports.handler = async (hop, { emit, state }) => {
  if (hop.left > 0) await emit({ topic: 'hop.javascript', data: { ...hop, left: hop.left - 1 } })
  else await state.set(hop.run, hop.chain, { at: now() })
}
"""

_LOOP_TS = """
const now = () => Number(process.hrtime.bigint() / 1000n)

export const config = {
  type: 'event', name: 'HopTypeScript',
  subscribes: ['hop.typescript'], emits: ['hop.typescript'],
}
export const handler = async (hop: any, { emit, state }: any) => {
  if (hop.left > 0) await emit({ topic: 'hop.typescript', data: { ...hop, left: hop.left - 1 } })
  else await state.set(hop.run, hop.chain, { at: now() })
}
"""

_LOOP_PY = """
import time

config = {
    "type": "event", "name": "HopPython",
    "subscribes": ["hop.python"], "emits": ["hop.python"],
}
async def handler(hop, context):
    if hop["left"] > 0:
        await context["emit"]({"topic": "hop.python", "data": {**hop, "left": hop["left"] - 1}})
    else:
        at = time.monotonic_ns() // 1000
        await context["state"].set(hop["run"], hop["chain"], {"at": at})
"""

_LOOP_RB = """
def config
  {type: "event", name: "HopRuby", subscribes: ["hop.ruby"], emits: ["hop.ruby"]}
end
def handler(hop, context)
  if hop["left"] > 0
    context[:emit].call(topic: "hop.ruby", data: hop.merge("left" => hop["left"] - 1))
  else
    at = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
    context[:state].set(hop["run"], hop["chain"], {at: at})
  end
end
"""

_CHAIN_TS = """
export const config = {
  type: 'event', name: 'ChainTypeScript',
  subscribes: ['chain.typescript'], emits: ['chain.javascript'],
}
export const handler = async (data: any, { emit }: any) => {
  await emit({ topic: 'chain.javascript', data })
}
"""

_CHAIN_JS = """
exports.config = {
  type: 'event', name: 'ChainJavaScript',
  subscribes: ['chain.javascript'], emits: ['chain.python'],
}
exports.handler = async (data, { emit }) => {
  await emit({ topic: 'chain.python', data })
}
"""

_CHAIN_PY = """
config = {
    "type": "event", "name": "ChainPython",
    "subscribes": ["chain.python"], "emits": ["chain.ruby"],
}
async def handler(data, context):
    await context["emit"]({"topic": "chain.ruby", "data": data})
"""

_CHAIN_RB = """
def config
  {type: "event", name: "ChainRuby", subscribes: ["chain.ruby"], emits: []}
end
def handler(data, context)
  at = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
  context[:state].set(data["run"], data["chain"], {began: data["began"], at: at})
end
"""

STEPS = {
    "start-hops.step.js": _START,
    "start-chain.step.js": _CHAIN,
    "ends.step.js": _ENDS,
    "hop-javascript.step.js": _LOOP_JS,
    "hop-typescript.step.ts": _LOOP_TS,
    "hop_python.step.py": _LOOP_PY,
    "hop-ruby.step.rb": _LOOP_RB,
    "chain-typescript.step.ts": _CHAIN_TS,
    "chain-javascript.step.js": _CHAIN_JS,
    "chain_python.step.py": _CHAIN_PY,
    "chain-ruby.step.rb": _CHAIN_RB,
}
"""Path below steps/ to text."""
