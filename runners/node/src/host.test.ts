// The methods of the runner, over the pipes of a real process.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ErrorFields, Params } from './peer'
import { Child, type Files, type Options, Refused } from './testing/child'

declare const __DIST__: string

const CONFIG = `exports.config = { type: 'event', name: 'T', subscribes: ['t'] }\n`
const event = (body: string): string =>
  `${CONFIG}exports.handler = async (input, ctx) => { ${body} }\n`
const api = (body: string, more = ''): string =>
  `exports.config = { type: 'api', name: 'T', path: '/t', method: 'GET', ${more} }\nexports.handler = (req, ctx) => { ${body} }\n`

/** Runs a test against a runner in a project of these files, all of them loaded. */
function withChild(
  name: string,
  files: Files,
  body: (child: Child) => Promise<void>,
  options?: Options,
): void {
  test(name, async () => {
    const child = await Child.start(files, options)
    try {
      for (const file of Object.keys(files)) if (/\.step\.\w+$/.test(file)) await child.load(file)
      await body(child)
    } finally {
      await child.stop()
    }
  })
}

async function refused(call: Promise<unknown>): Promise<ErrorFields> {
  try {
    await call
  } catch (error) {
    if (error instanceof Refused) return error.fields
    throw error
  }
  throw new Error('the call was not refused')
}

withChild('says who it is', {}, async ({ handshake }) => {
  assert.equal(handshake['protocol'], 1)
  assert.deepEqual((handshake['extensions'] as string[]).includes('.ts'), true)
  const capabilities = {
    concurrent: true,
    cancel: true,
    reload: true,
    parse: true,
    console: true,
    authorize: true,
    streaming: true,
    middleware: true,
  }
  assert.deepEqual(handshake['capabilities'], capabilities)
})

withChild(
  'refuses everything before the handshake, and a version it does not speak',
  {},
  async (child) => {
    assert.equal((await refused(child.call('ping', {}))).code, 'not_initialized')
    const { code, message } = await refused(
      child.call('initialize', { protocol: [7, 9], root: '/', window: 1, max_frame: 1 }),
    )
    assert.equal(code, 'unsupported_version')
    assert.match(message, /\[7, 9\].*\[1, 1\]/)
    assert.equal(
      (await refused(child.call('initialize', { protocol: [1, 1] }))).code,
      'invalid_params',
    )
  },
  { handshake: false },
)

withChild('refuses what it does not know', { 'a.step.js': event('') }, async (child) => {
  assert.equal((await refused(child.call('divine', {}))).code, 'unknown_method')
  assert.equal((await refused(child.call('initialize', {}))).code, 'protocol_error')
  assert.match((await refused(child.call('load', { step: 'x' }))).message, /"path"/)
  assert.equal((await refused(child.event('gone'))).code, 'unknown_step')
  const stale = await refused(child.event('a.step.js', 1, { revision: 5 }))
  assert.equal(stale.code, 'stale_revision')
  assert.match(stale.message, /revision 5 .* there is 1$/)
  assert.match(
    (await refused(child.invoke('a.step.js', 'dance', {}))).message,
    /api, event or cron/,
  )
})

// Loading

const BROKEN: Record<
  string,
  {
    source: string
    line: number
    column?: number
    message: RegExp
    type?: string
    file?: string
    more?: Files
  }
> = {
  'a syntax error in TypeScript': {
    source: 'const a = 1\n\nconst b: = 2',
    line: 3,
    column: 10,
    message: /^Unexpected token$/,
    type: 'SyntaxError',
  },
  'a syntax error in a helper': {
    source: 'import "./helper"',
    line: 2,
    message: /Unexpected/,
    file: 'helper.ts',
    more: { 'helper.ts': 'export {}\nlet = = 1' },
  },
  'an error at load': {
    source: '\n\nthrow new RangeError("no luck")',
    line: 3,
    message: /^no luck$/,
    type: 'RangeError',
  },
  'an error in a helper at load': {
    source: 'import { f } from "./helper"\nf()',
    line: 3,
    message: /deep/,
    file: 'helper.ts',
    more: { 'helper.ts': 'export function f() {\n\n  throw new Error("deep")\n}' },
  },
  'a missing file': {
    source: '\nimport { a } from "./gone"\nconsole.log(a)',
    line: 2,
    column: 19,
    message: /'\.\/gone'/,
    type: 'ModuleNotFound',
  },
  'a missing package': {
    source: 'import a from "left-pad"\nconsole.log(a)',
    line: 1,
    message: /npm install left-pad/,
  },
  'a missing file that is required': {
    source: 'const a = 1\nconst b = require("./gone")',
    line: 2,
    message: /'\.\/gone'/,
  },
  'no config': {
    source: 'export const handler = () => {}',
    line: 1,
    message: /no config is exported/,
  },
  'a config that throws': {
    source: '\nexport const config = () => {\n  throw new Error("unset")\n}',
    line: 3,
    message: /unset/,
  },
  'a rejected top-level await': {
    source: 'export const config = {}\nawait Promise.reject(new Error("late"))',
    line: 2,
    message: /late/,
  },
  'something that does not want to be looked at': {
    source:
      '\nthrow new Proxy({}, { get() { throw 1 }, has() { throw 1 }, getPrototypeOf() { throw 1 } })',
    line: 1,
    message: /cannot be shown/,
  },
  'something that is no error': { source: 'throw { reason: 1 }', line: 1, message: /reason/ },
}

for (const [name, { source, line, column, message, type, file, more }] of Object.entries(BROKEN)) {
  withChild(`load names the place of ${name}`, more ?? {}, async (child) => {
    child.write({ 'bad.step.ts': source })
    const fields = await refused(child.load('bad.step.ts'))
    assert.equal(fields.code, 'load_failed')
    assert.match(fields.message, message)
    if (type !== undefined) assert.equal(fields.type, type)
    assert.equal(fields.data?.['file'], child.path(file ?? 'bad.step.ts'))
    assert.equal(fields.data?.['line'], line)
    if (column !== undefined) assert.equal(fields.data?.['column'], column)
    assert.ok(!fields.trace?.includes('main.cjs'), fields.trace)
    // Others are not disturbed, and a corrected file loads.
    child.write({ 'bad.step.ts': 'export const config = { type: "noop", name: "N" }' })
    assert.deepEqual((await child.load('bad.step.ts', 2))['exports'], [])
  })
}

withChild('a plain JavaScript file names its place as well', {}, async (child) => {
  child.write({ 'bad.step.js': `${CONFIG}const a = {\n  b: 1,,\n}` })
  const fields = await refused(child.load('bad.step.js'))
  assert.deepEqual([fields.data?.['line'], fields.data?.['column']], [3, 8])
  assert.match(fields.trace ?? '', />\s+3 \|/)
})

withChild('a file that cannot be read is refused', {}, async (child) => {
  const { code, message } = await refused(child.load('nowhere.step.ts'))
  assert.equal(code, 'load_failed')
  assert.match(message, /nowhere\.step\.ts cannot be read/)
})

withChild('a package that has just been installed is found by the next load', {}, async (child) => {
  child.write({
    'a.step.ts': 'import { a } from "fresh"\nexport const config = { type: "noop", name: a }',
  })
  await refused(child.load('a.step.ts'))
  child.write({ 'node_modules/fresh/index.js': 'exports.a = "there"' })
  assert.deepEqual((await child.load('a.step.ts', 2))['config'], { type: 'noop', name: 'there' })
})

// Handlers

withChild(
  'API requests and answers',
  {
    'a.step.js':
      api(`return { status: 200, headers: { 'x-n': 5, 'set-cookie': ['a', 'b'], gone: undefined }, body: {
    body: req.body, raw: req.rawBody, headers: req.headers, path: req.pathParams, query: req.queryParams, method: req.method, at: req.path } }`),
    'format.step.js':
      api(`const bodies = { text: 'x', bytes: Buffer.from([0, 255]), nothing: undefined, none: null, list: [1], number: 7, nested: { raw: Buffer.from([1]) }, big: { n: 1n } }
    return { status: 201, body: bodies[req.queryParams.as] }`),
    'headers.step.js': api(
      'const headers = new Headers({ a: "1" }); headers.append("set-cookie", "x=1"); headers.append("set-cookie", "y=2"); return { status: 204, headers }',
    ),
  },
  async (child) => {
    const input = {
      method: 'PUT',
      path: '/t/5',
      params: { id: '5' },
      query: { q: ['a', 'b'] },
      headers: { accept: ['x', 'y'] },
      body: ['json', Buffer.from('{ "n": 1 }')],
    }
    const { status, headers, body } = await child.api('a.step.js', input)
    assert.equal(status, 200)
    assert.deepEqual(headers, { 'x-n': '5', 'set-cookie': ['a', 'b'] })
    assert.deepEqual(body, {
      body: { n: 1 },
      raw: '{ "n": 1 }',
      headers: { accept: ['x', 'y'] },
      path: { id: '5' },
      query: { q: ['a', 'b'] },
      method: 'PUT',
      at: '/t/5',
    })
    const without = (await child.api('a.step.js')).body as Params
    assert.deepEqual([without['body'], without['raw']], [{}, ''])
    const as = async (name: string): Promise<unknown[]> => {
      const { format, body } = await child.api('format.step.js', { query: { as: name } })
      return [format, body]
    }
    assert.deepEqual(await as('text'), ['text', 'x'])
    assert.deepEqual(await as('bytes'), ['bytes', Buffer.from([0, 255])])
    assert.deepEqual(await as('nothing'), [null, undefined])
    assert.deepEqual(await as('none'), ['json', null])
    assert.deepEqual(await as('list'), ['json', [1]])
    assert.deepEqual(await as('number'), ['json', 7])
    assert.deepEqual(await as('nested'), ['json', { raw: 'AQ==' }])
    assert.deepEqual(await as('big'), ['json', { n: '1' }])
    assert.deepEqual((await child.api('headers.step.js')).headers, {
      a: '1',
      'set-cookie': ['x=1', 'y=2'],
    })
  },
)

withChild(
  'an unusable answer says what an API step returns',
  {
    'a.step.js': api('return eval(req.queryParams.as)'),
  },
  async (child) => {
    for (const as of [
      'undefined',
      'null',
      '"text"',
      '[1]',
      '({})',
      '({ status: "200" })',
      '({ status: 200.5 })',
      '({ status: 200, body: new ReadableStream() })',
    ]) {
      const { code, type, message } = await refused(child.api('a.step.js', { query: { as } }))
      assert.deepEqual([code, type], ['handler_failed', 'InvalidResponse'], as)
      if (!as.includes('Stream'))
        assert.match(message, /an API step returns \{ status: 200, body: … \}/)
    }
    const listed = await refused(
      child.api('a.step.js', { query: { as: '({ status: 200, headers: [["x-a", "1"]] })' } }),
    )
    assert.match(listed.message, /the headers of an API step are an object, not \[/)
    const circle = await refused(
      child.api('a.step.js', {
        query: { as: 'const a = {}; a.a = a; ({ status: 200, body: a })' },
      }),
    )
    assert.equal(circle.code, 'invalid_payload')
    assert.match(circle.message, /the body of the response: "a" leads back to itself/)
  },
)

withChild(
  'middleware wraps the handler',
  {
    'a.step.js': `
    const order = []
    const outer = async (req, ctx, next) => { order.push('outer'); ctx.user = 'ann'; const res = await next(); return { ...res, headers: { order: order.splice(0).join() } } }
    const inner = (req, ctx, next) => { order.push('inner'); req.body.n++; return req.queryParams.stop ? { status: 403 } : next() }
    const fails = async (req, ctx, next) => { try { return await next() } catch (error) { return { status: 500, body: error.message } } }
    exports.config = { type: 'api', name: 'T', path: '/', method: 'GET', middleware: [fails, outer, inner] }
    exports.handler = (req, { user }) => { if (req.queryParams.fail) throw new Error('inside'); return { status: 200, body: [user, req.body.n] } }`,
  },
  async (child) => {
    const body = ['json', Buffer.from('{"n":1}')]
    const { headers, body: answer } = await child.api('a.step.js', { body })
    assert.deepEqual([headers, answer], [{ order: 'outer,inner' }, ['ann', 2]])
    assert.equal((await child.api('a.step.js', { body, query: { stop: '1' } })).status, 403)
    assert.equal((await child.api('a.step.js', { body, query: { fail: '1' } })).body, 'inside')
  },
)

withChild(
  'event and cron handlers',
  {
    'echo.step.js': event('return input'),
    'sync.step.js': `${CONFIG}exports.handler = (input) => input.n`,
    'thenable.step.js': `${CONFIG}exports.handler = () => ({ then: (done) => done(3) })`,
    'circle.step.js': event('const a = {}; a.a = a; return a'),
    'cron.step.js': `exports.config = { type: 'cron', name: 'C', cron: '* * * * *' }; exports.handler = (...args) => [args[0].traceId, args[0].attempt, typeof args[1]]`,
    'cron2.step.js': `exports.config = { type: 'cron', name: 'C', cron: '* * * * *' }; exports.handler = (input, ctx) => [input, ctx.attempt]`,
    'none.step.js': CONFIG,
    'dirty.step.js': event('return ctx'),
  },
  async (child) => {
    assert.deepEqual(await child.event('echo.step.js', { a: [1] }), { a: [1] })
    assert.equal(await child.event('echo.step.js'), undefined)
    assert.equal(await child.event('echo.step.js', null), null)
    assert.equal(await child.event('sync.step.js', { n: 2 }), 2)
    assert.equal(await child.event('thenable.step.js'), 3)
    assert.equal(await child.event('circle.step.js'), undefined)
    assert.deepEqual([child.logs.at(-1)?.level, child.logs.at(-1)?.scope], ['debug', child.id])
    const cron = (name: string): Promise<unknown> =>
      child.invoke(name, 'cron', { scheduled: 5 }, { attempt: 3 })
    assert.equal(
      String(((await cron('cron.step.js')) as unknown[])[1]),
      `["${'ab'.repeat(16)}",3,"undefined"]`,
    )
    assert.equal(String(((await cron('cron2.step.js')) as unknown[])[1]), '[{"scheduled":5},3]')
    const missing = await refused(child.event('none.step.js'))
    assert.deepEqual([missing.code, missing.type], ['handler_failed', 'MissingHandler'])
    assert.ok(await child.event('dirty.step.js'))
  },
)

withChild(
  "a failure shows the author's frames first",
  {
    'lib/inner.ts':
      'export function inner(): never {\n\n  throw new TypeError("broken", { cause: new Error("the cause") })\n}',
    'a.step.ts': `import { inner } from './lib/inner'
export const config = { type: 'event', name: 'A', subscribes: [] }
export const handler = async () => {
  await null

  return [1].map(() => inner())
}`,
  },
  async (child) => {
    const fields = await refused(child.event('a.step.ts'))
    assert.deepEqual(
      [fields.code, fields.type, fields.message],
      ['handler_failed', 'TypeError', 'broken'],
    )
    assert.deepEqual(
      fields.frames?.map(({ file, line }) => [file.slice(child.folder.length + 1), line]),
      [
        ['lib/inner.ts', 3],
        ['a.step.ts', 6],
        ['a.step.ts', 6],
      ],
    )
    assert.equal(fields.frames?.[0]?.function, 'inner')
    assert.match(fields.trace ?? '', /TypeError: broken[^]*Caused by: Error: the cause/)
    assert.doesNotMatch(fields.trace ?? '', /main\.cjs/)
  },
)

withChild(
  'anything can be thrown',
  {
    'a.step.js': event('throw eval(input)'),
  },
  async (child) => {
    const thrown = async (text: string): Promise<unknown[]> => {
      const { code, type, message } = await refused(child.event('a.step.js', text))
      assert.equal(code, 'handler_failed')
      return [type, message]
    }
    assert.deepEqual(await thrown('"text"'), ['string', 'text'])
    assert.deepEqual(await thrown('undefined'), ['undefined', 'undefined'])
    assert.deepEqual(await thrown('null'), ['null', 'null'])
    assert.deepEqual(await thrown('({ message: "m", a: 1 })'), ['Object', 'm'])
    assert.deepEqual(await thrown('({ a: 1 })'), ['Object', '{"a":1}'])
    assert.deepEqual(await thrown('Object.create(null)'), ['Object', '{}'])
    assert.equal(
      (await thrown('new Proxy({}, { get() { throw 1 }, has() { throw 1 } })')).length,
      2,
    )
    assert.equal(
      (await thrown('Object.defineProperty(new Error("x"), "stack", { get() { throw 1 } })'))[1],
      'x',
    )
    assert.equal((await thrown('new AggregateError([new Error("one")], "many")'))[1], 'many')
    assert.equal(((await thrown('new Error("x".repeat(1e6))'))[1] as string).length, 8192)
  },
)

withChild(
  'errors that nobody caught are logged and the rest goes on',
  {
    'a.step.js': event(`
    setTimeout(() => { throw new RangeError('in a timer') }, 1)
    Promise.reject(new TypeError('nobody waits'))
    setImmediate(() => { throw null })
    await new Promise((done) => setTimeout(done, 20)); return 'done'`),
  },
  async (child) => {
    assert.equal(await child.event('a.step.js'), 'done')
    await child.until(() => child.logs.length >= 3)
    const found = child.logs.map(({ level, message, scope }) => [
      level,
      message,
      scope === child.id,
    ])
    assert.ok(found.every(([level, , known]) => level === 'error' && known === true))
    assert.deepEqual(found.map(([, message]) => message).sort(), [
      'Uncaught RangeError: in a timer',
      'Uncaught null: null',
      'Unhandled rejection of TypeError: nobody waits',
    ])
    const timer = child.logs.find(({ message }) => message.includes('timer'))?.fields as {
      error: { stack: string }
    }
    assert.match(timer.error.stack, /a\.step\.js:3/)
    assert.deepEqual(await child.call('ping', {}), {})
  },
)

withChild(
  'process.exit in a handler ends the process, after what it had logged',
  {
    'a.step.js': event('ctx.logger.info("last words"); process.exit(3)'),
  },
  async (child) => {
    await assert.rejects(child.event('a.step.js'), /left with 3/)
    assert.equal(child.logs.at(-1)?.message, 'last words')
  },
)

withChild(
  'a handler that never yields still gets its log lines out',
  {
    'a.step.js': event(
      'const until = Date.now() + 400; while (Date.now() < until) ctx.logger.info("busy")',
    ),
  },
  async (child) => {
    const done = child.event('a.step.js').then(() => child.order.push('done'))
    await child.until(() => child.logs.length > 100)
    assert.ok(!child.order.includes('done'))
    await done
  },
)

// Cancelling

withChild(
  'a cancelled invocation is answered at once, and its signal aborts',
  {
    'a.step.js': event(`
    ctx.signal.addEventListener('abort', () => { globalThis.reason = ctx.signal.reason })
    await new Promise((done) => { globalThis.release = done })
    globalThis.after = await ctx.emit({ topic: 't' }).catch((error) => error.code)
    ctx.logger.info('still here')`),
    'b.step.js': event(
      'globalThis.release?.(); await new Promise(setImmediate); return [String(globalThis.reason), globalThis.reason?.reason, globalThis.after]',
    ),
    'never.step.js': event('await ctx.state.get("g", "k"); throw new Error("late")'),
    'late.step.js': event('await new Promise(() => {})'),
  },
  async (child) => {
    const running = refused(child.event('a.step.js'))
    const { id } = child
    child.notify('cancel', { id: 999, reason: 'client' })
    child.notify('cancel', { id, reason: 'timeout' })
    assert.deepEqual(await running, { code: 'cancelled', message: 'cancelled: timeout' })
    child.notify('cancel', { id, reason: 'timeout' })
    assert.deepEqual(await child.event('b.step.js'), [
      'AbortError: the invocation was cancelled: timeout',
      'timeout',
      'cancelled',
    ])
    assert.equal(child.logs.at(-1)?.scope, undefined)
    child.answer = () => new Promise(() => {})
    const waiting = refused(child.event('never.step.js'))
    await child.until(() => child.order.at(-1) === 'state.get')
    child.notify('cancel', { id: child.id, reason: 'client' })
    assert.equal((await waiting).code, 'cancelled')
    assert.deepEqual(await child.call('ping', {}), {})
    assert.equal(child.stderr, '')
  },
)

withChild(
  'invocations run side by side',
  {
    'a.step.js': `${CONFIG}let open; const all = new Promise((done) => (open = done))
let begun = 0
exports.handler = async (n) => { if (++begun === 100) open(); await all; return n }`,
  },
  async (child) => {
    // Each of them waits until all have begun.
    const numbers = Array.from({ length: 100 }, (_, n) => n)
    assert.deepEqual(await Promise.all(numbers.map((n) => child.event('a.step.js', n))), numbers)
  },
)

// Revisions

const GREETS = (n: number): string => `import { hello } from './lib/hello'
export const config = { type: 'event', name: 'G', subscribes: [] }
export const handler = async (input: unknown, { state }: any) => { await state.get('gate', 'k'); return [hello, ${n}] }`

withChild(
  'an edit gives a new revision while the old one finishes',
  {
    'lib/hello.ts': 'export const hello = "hello"',
    'a.step.ts': GREETS(1),
    'other.step.ts': 'export const config = { type: "noop", name: "O" }',
  },
  async (child) => {
    let open: (value: null) => void = () => {}
    child.answer = () => new Promise((resolve) => (open = resolve))
    const running = child.event('a.step.ts')
    await child.until(() => child.order.at(-1) === 'state.get')
    const release = open
    child.answer = () => null
    child.write({ 'lib/hello.ts': 'export const hello = "good evening"', 'a.step.ts': GREETS(2) })
    const changed = await child.call('changed', { paths: [child.path('lib/hello.ts')] })
    assert.deepEqual(changed, { steps: ['a.step.ts'], restart: false })
    await child.load('a.step.ts', 2)
    assert.deepEqual(await child.event('a.step.ts', 0, { revision: 2 }), ['good evening', 2])
    assert.deepEqual(await child.event('a.step.ts'), ['hello', 1])
    await child.call('unload', { step: 'a.step.ts', revision: 1 })
    assert.equal((await refused(child.event('a.step.ts'))).code, 'stale_revision')
    release(null)
    assert.deepEqual(await running, ['hello', 1])
    await child.call('unload', { step: 'a.step.ts' })
    assert.equal((await refused(child.event('a.step.ts'))).code, 'unknown_step')
  },
)

withChild(
  'changed tells what is reached, also by files that came or failed',
  {
    'ok.step.ts': 'import "./lib/a"\nexport const config = { type: "noop", name: "O" }',
    'lib/a.ts': 'export {}',
  },
  async (child) => {
    child.write({
      'bad.step.ts': 'import "./lib/later"\nimport "./lib/a"\nexport const config = {}',
    })
    await refused(child.load('bad.step.ts'))
    const changed = async (...names: string[]): Promise<unknown> =>
      ((await child.call('changed', { paths: names.map((name) => child.path(name)) })) as Params)[
        'steps'
      ]
    assert.deepEqual(await changed('unrelated.ts'), [])
    assert.deepEqual(await changed('lib/later.ts'), ['bad.step.ts'])
    assert.deepEqual(await changed('lib/a.ts', 'bad.step.ts'), ['bad.step.ts', 'ok.step.ts'])
  },
)

withChild(
  'what Node itself has loaded needs a new process',
  { 'a.step.js': event('') },
  async (child) => {
    for (const name of ['tsconfig.json', 'package.json', 'node_modules/x/index.js']) {
      const { restart } = (await child.call('changed', { paths: [child.path(name)] })) as Params
      assert.equal(restart, true, name)
    }
  },
)

withChild(
  'canAccess is asked',
  {
    'a.stream.js': `exports.config = { name: 'board', schema: {}, canAccess: async ({ groupId }, auth) => { if (groupId === 'x') throw new Error('no'); return auth && auth.role === 'reader' } }`,
    'auth.js': `exports.config = { streamAuth: { authenticate: ({ headers }) => headers.token ? { role: headers.token } : null } }`,
  },
  async (child) => {
    const loaded = await child.load('a.stream.js')
    assert.deepEqual(loaded['exports'], ['canAccess'])
    await child.load('auth.js')
    const ask = async (step: string, kind: string, input: unknown): Promise<string> => {
      const [, bytes] = (await child.call('authorize', {
        step,
        kind,
        input: ['json', Buffer.from(JSON.stringify(input))],
      })) as [string, Buffer]
      return bytes.toString()
    }
    const subscription = { streamName: 'board', groupId: 'g' }
    assert.equal(
      await ask('a.stream.js', 'canAccess', { subscription, auth: { role: 'reader' } }),
      'true',
    )
    assert.equal(await ask('a.stream.js', 'canAccess', { subscription, auth: null }), 'false')
    assert.equal(
      await ask('auth.js', 'streamAuth', { headers: { token: 'reader' }, url: '/' }),
      '{"role":"reader"}',
    )
    assert.equal(await ask('auth.js', 'streamAuth', { headers: {}, url: '/' }), 'null')
    const { code, message } = await refused(
      ask('a.stream.js', 'canAccess', { subscription: { groupId: 'x' } }),
    )
    assert.deepEqual([code, message], ['handler_failed', 'no'])
  },
)

// Leaving

withChild(
  'shutdown lets handlers finish, cancels them after the grace, and takes nothing new',
  {
    'slow.step.js': event(
      'await new Promise((done) => setTimeout(done, input)); return "finished"',
    ),
  },
  async (child) => {
    const quick = child.event('slow.step.js', 50)
    const slow = refused(child.event('slow.step.js', 3_600_000))
    const stopped = child.call('shutdown', { grace_ms: 300 })
    assert.equal((await refused(child.event('slow.step.js', 1))).code, 'shutting_down')
    assert.equal(await quick, 'finished')
    assert.equal((await slow).code, 'cancelled')
    assert.equal(await stopped, null)
    child.process.stdin?.end()
    assert.equal(await child.exit, 0)
  },
)

withChild(
  'the end of its input ends it, whatever runs',
  {
    'a.step.js': event('setInterval(() => {}, 1000); await new Promise(() => {})'),
  },
  async (child) => {
    child.event('a.step.js').catch(() => {})
    await child.call('ping', {})
    child.process.stdin?.end()
    assert.equal(await child.exit, 0)
  },
)

withChild("Ctrl-C is the orchestrator's business", {}, async (child) => {
  child.process.kill('SIGINT')
  assert.deepEqual(await child.call('ping', {}), {})
})

for (const [name, frame] of Object.entries({
  'another kind': [7, 1, 'ping', {}],
  'a text': 'hello, I am a print',
  'params as a list': [0, 1, 'ping', []],
})) {
  withChild(`a message that is none ends the session: ${name}`, {}, async (child) => {
    child.send(frame)
    assert.equal(await child.exit, 1)
    assert.match(child.stderr, /protocol_error: no message looks like/)
  })
}

withChild(
  'a frame over the limit is refused and skipped',
  {},
  async (child) => {
    child.send([0, 4_000_000_000, 'ping', { pad: 'x'.repeat(17 * 1024 * 1024) }])
    await assert.rejects(child.call('divine', {}), /unknown_method/)
    assert.ok(child.order.includes('answer 4000000000'))
  },
  {},
)

test('started without the launcher it says how it is started', async () => {
  const child = spawn(process.execPath, [join(__DIST__, 'main.cjs')], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const code = await new Promise((resolve) => child.on('close', resolve))
  assert.equal(code, 64)
  assert.match(stderr, /sh -c 'exec "\$@" 3<&0 4>&1 0<\/dev\/null 1>&2'/)
})
