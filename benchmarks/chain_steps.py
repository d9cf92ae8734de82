"""A project with a chain: an API step, then an event step in each language.

The last one tells the end of a chain by a datagram to the client's port.
"""

from __future__ import annotations

__all__ = ["STEPS"]

_START = """
const note = 'x'.repeat(120)

exports.config = {
  type: 'api', name: 'StartChain', method: 'POST', path: '/bench/chain',
  emits: ['chain.typescript'],
}
exports.handler = async (req, { emit }) => {
  const { chain, port } = req.body
  await emit({ topic: 'chain.typescript', data: { chain, port, note } })
  return { status: 202, body: { chain } }
}
"""

_TYPESCRIPT = """
export const config = {
  type: 'event', name: 'ChainTypeScript',
  subscribes: ['chain.typescript'], emits: ['chain.javascript'],
}
export const handler = async (data: any, { emit }: any) => {
  await emit({ topic: 'chain.javascript', data })
}
"""

_JAVASCRIPT = """
exports.config = {
  type: 'event', name: 'ChainJavaScript',
  subscribes: ['chain.javascript'], emits: ['chain.python'],
}
exports.handler = async (data, { emit }) => {
  await emit({ topic: 'chain.python', data })
}
"""

_PYTHON = """
config = {
    "type": "event", "name": "ChainPython",
    "subscribes": ["chain.python"], "emits": ["chain.ruby"],
}
async def handler(data, context):
    await context["emit"]({"topic": "chain.ruby", "data": data})
"""

_RUBY = """
require "socket"

def config
  {type: "event", name: "ChainRuby", subscribes: ["chain.ruby"], emits: []}
end
def handler(data, _context)
  $bench_ends ||= UDPSocket.new
  $bench_ends.send(data["chain"].to_s, 0, "127.0.0.1", data["port"])
end
"""

STEPS = {
    "start-chain.step.js": _START,
    "chain-typescript.step.ts": _TYPESCRIPT,
    "chain-javascript.step.js": _JAVASCRIPT,
    "chain_python.step.py": _PYTHON,
    "chain-ruby.step.rb": _RUBY,
}
"""Path below steps/ to text."""
