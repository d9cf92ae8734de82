// Much at once, and things that end badly, over the pipes of a real process.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Child } from './testing/child'
import { decode } from './values'

declare const __DIST__: string

const PRINTS = `
const fs = require('node:fs')
const { spawnSync } = require('node:child_process')
exports.config = { type: 'event', name: 'P', subscribes: ['p'] }
exports.handler = async ({ n, text, raw }, { emit, state }) => {
  console.log('console', n)
  process.stdout.write('stdout ' + n + '\\n')
  fs.writeSync(1, 'descriptor ' + n + '\\n')
  if (n % 20 === 0) spawnSync('echo', ['child ' + n], { stdio: 'inherit' })
  await state.set('g', String(n), { text, raw })
  await emit({ topic: 't', data: { n, size: text.length } })
  const back = await state.get('g', String(n))
  return { n, text: back.text, raw: back.raw }
}`

test('400 calls print in four ways while payloads to 1 MB pass both ways', async () => {
  const child = await Child.start({ 'p.step.js': PRINTS })
  await child.load('p.step.js')
  const sizes = [10, 1_000, 40_000, 200_000, 1_000_000]
  const call = async (n: number): Promise<void> => {
    const size = sizes[n % sizes.length] as number
    const text = String.fromCodePoint(0x61 + (n % 26)).repeat(size / 2) + 'ž'.repeat(size / 4)
    const raw = Buffer.alloc(size / 10, n)
    const result = (await child.event('p.step.js', { n, text, raw })) as {
      n: number
      text: string
      raw: Buffer
    }
    assert.equal(result.n, n)
    assert.ok(result.text === text && raw.equals(result.raw), `call ${n}`)
  }
  for (let n = 0; n < 400; n += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, index) => call(n + index)))
  }
  const said = (prefix: string): number =>
    child.logs.filter(({ message }) => message.startsWith(prefix)).length
  assert.deepEqual([said('console '), said('stdout ')], [400, 400])
  await child.until(
    () => child.stderr.split('\n').filter((line) => line.startsWith('descriptor ')).length === 400,
  )
  assert.equal(child.stderr.split('\n').filter((line) => line.startsWith('child ')).length, 20)
  assert.equal(child.requests.filter(({ method }) => method === 'emit').length, 400)
  await child.stop()
})

test('bodies of 10 MB pass in every format', async () => {
  const child = await Child.start({
    'a.step.js': `exports.config = { type: 'api', name: 'A', path: '/', method: 'POST' }
      exports.handler = (req) => ({ status: 200, body: req.body })`,
  })
  await child.load('a.step.js')
  const text = 'x'.repeat(10_000_000)
  const values = { json: JSON.stringify({ text }), text, bytes: Buffer.alloc(10_000_000, 5) }
  for (const [format, value] of Object.entries(values)) {
    const answer = await child.api('a.step.js', { body: [format, Buffer.from(value)] })
    assert.equal(answer.format, format)
    assert.deepEqual(answer.body, format === 'json' ? { text } : value)
  }
  await child.stop()
})

test('an answer longer than the other side takes is an error, and the rest goes on', async () => {
  const child = await Child.start({
    'a.step.js': `exports.config = { type: 'event', name: 'A', subscribes: [] }; exports.handler = (n) => 'x'.repeat(n)`,
  })
  await child.load('a.step.js')
  await assert.rejects(
    child.event('a.step.js', 17_000_000),
    /too_large: a frame of .* is over the orchestrator's limit/,
  )
  assert.equal(await child.event('a.step.js', 3), 'xxx')
  await child.stop()
})

test('the reader goes on while nobody reads its answers', async () => {
  const child = await Child.start({
    'a.step.js': `exports.config = { type: 'event', name: 'A', subscribes: [] }; let seen = 0
      exports.handler = (text) => { require('fs').writeSync(2, 'seen ' + ++seen + '\\n'); return text }`,
  })
  await child.load('a.step.js')
  child.process.stdout?.pause()
  const text = 'x'.repeat(400_000)
  const calls = Array.from({ length: 30 }, () => child.event('a.step.js', text))
  await child.until(() => child.stderr.includes('seen 30'))
  child.process.stdout?.resume()
  for (const result of await Promise.all(calls)) assert.ok(result === text)
  await child.stop()
})

test('20,000 calls in flight keep their answers apart', async () => {
  const child = await Child.start({
    'a.step.js': `exports.config = { type: 'event', name: 'A', subscribes: [] }
      exports.handler = async (n, { state }) => { const v = await state.get('g', String(n)); return [n, v] }`,
  })
  await child.load('a.step.js')
  child.answer = (_, params) => ['json', Buffer.from(params['key'] as string)]
  for (let round = 0; round < 20; round++) {
    const numbers = Array.from({ length: 1_000 }, (_, index) => round * 1_000 + index)
    const results = await Promise.all(numbers.map((n) => child.event('a.step.js', n)))
    assert.deepEqual(
      results,
      numbers.map((n) => [n, n]),
    )
  }
  await child.stop()
})

test('more invocations than the window are refused as busy', async () => {
  const child = await Child.start({
    'a.step.js': `exports.config = { type: 'event', name: 'A', subscribes: [] }; exports.handler = () => new Promise(() => {})`,
  })
  await child.load('a.step.js')
  const window = child.handshake['window'] as number
  for (let n = 0; n < window; n++) child.event('a.step.js').catch(() => {})
  await assert.rejects(child.event('a.step.js'), /busy/)
  await child.stop()
})

test('a killed runner fails the calls that run', async () => {
  const child = await Child.start({
    'a.step.js': `exports.config = { type: 'event', name: 'A', subscribes: [] }
      exports.handler = async (_, { state }) => { await state.get('g', 'k'); await new Promise(() => {}) }`,
  })
  await child.load('a.step.js')
  const running = child.event('a.step.js')
  await child.until(() => child.order.at(-1) === 'state.get')
  child.process.kill('SIGKILL')
  await assert.rejects(running, /the runner left with/)
  await child.stop()
})

test('a burst of emits through a narrow window loses none', async () => {
  const child = await Child.start(
    {
      'a.step.js': `exports.config = { type: 'event', name: 'A', subscribes: [] }
        exports.handler = async (n, { emit }) => { await Promise.all(Array.from({ length: n }, (_, i) => emit({ topic: 't', data: i }))); return n }`,
    },
    { handshake: { window: 8 } },
  )
  await child.load('a.step.js')
  assert.equal(await child.event('a.step.js', 20_000), 20_000)
  const seen = child.requests.map(({ params }) => decode(params['data']))
  assert.deepEqual(
    seen,
    Array.from({ length: 20_000 }, (_, index) => index),
  )
  await child.stop()
})

test('a cold start loads many steps quickly enough to be asked all at once', async () => {
  const files = Object.fromEntries(
    Array.from({ length: 100 }, (_, n) => [
      `s${n}.step.ts`,
      `import { shared } from './lib/shared'\nexport const config = { type: 'event', name: 'S${n}', subscribes: ['t'] }\nexport const handler = async () => shared(${n})`,
    ]),
  )
  const child = await Child.start({
    ...files,
    'lib/shared.ts': 'export const shared = (n: number): number => n * 2',
  })
  const loaded = await Promise.all(Object.keys(files).map((name) => child.load(name)))
  assert.equal(loaded.length, 100)
  assert.equal(await child.event('s7.step.ts'), 14)
  await child.stop()
})

test('leaves no process behind when its orchestrator is killed while a handler never yields', async () => {
  // A parent of its own, which is killed: the runner must notice although its loop is blocked.
  const script = `
    const { spawn } = require('node:child_process')
    const child = spawn('sh', ['-c', 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2', 'sh', process.execPath, ${JSON.stringify(join(__DIST__, 'main.cjs'))}], { stdio: ['pipe', 'pipe', 'inherit'] })
    console.log(child.pid)
    process.stdin.pipe(child.stdin)
    child.stdout.on('data', () => console.log('frame'))`
  const parent = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'ignore'] })
  const lines: string[] = []
  let wake = (): void => {}
  parent.stdout.on('data', (chunk: Buffer) => {
    lines.push(
      ...chunk
        .toString()
        .split('\n')
        .filter((line) => line !== ''),
    )
    wake()
  })
  const until = async (count: number): Promise<void> => {
    while (lines.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  const source = await Child.start({
    'a.step.js': `exports.config = { type: 'event', name: 'A', subscribes: [] }
      exports.handler = async (_, { emit }) => { emit({ topic: 't' }); await new Promise((done) => setTimeout(done, 10)); for (;;) {} }`,
  })
  await until(1)
  const send = (frame: unknown): void => {
    parent.stdin.write(source.frame(frame))
  }
  send([
    0,
    1,
    'initialize',
    {
      protocol: [1, 1],
      root: source.folder,
      environment: 'production',
      max_frame: 1e6,
      window: 10,
      capabilities: {},
    },
  ])
  await until(2)
  send([0, 2, 'load', { step: 'a', path: source.path('a.step.js'), revision: 1 }])
  await until(3)
  send([
    0,
    3,
    'invoke',
    { step: 'a', revision: 1, kind: 'event', input: { data: null }, trace: '', attempt: 1 },
  ])
  await until(4)
  const pid = Number(lines[0])
  parent.kill('SIGKILL')
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 50))
  await source.stop()
})

// Where nobody collects orphans, the runner stays as a zombie.
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !existsSync('/proc/self/stat') || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
