// The context as a handler sees it, in a real process.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Params } from './peer'
import { Child, memory, Refused } from './testing/child'
import { decode, encode } from './values'

/** An event step whose handler is this text. */
const step = (body: string, more = ''): string =>
  `exports.config = { type: 'event', name: 'T', subscribes: ['t'], flows: ['one', 'two'], ${more} }
exports.handler = async (input, ctx) => { const { emit, logger, state, streams } = ctx
${body}
}`

let child: Child
let count = 0

before(async () => {
  child = await Child.start()
})

after(() => child.stop())

/** Runs a handler's text; what was asked of the orchestrator is in `child.requests`. */
async function run(body: string, input?: unknown): Promise<unknown> {
  const name = `t${++count}.step.js`
  child.write({ [name]: step(body) })
  await child.load(name)
  child.requests.length = 0
  child.logs.length = 0
  return child.event(name, input)
}

function asked(): [string, Params][] {
  return child.requests.map(({ method, params }) => {
    const { scope, data, value, ...rest } = params
    assert.equal(scope, child.id)
    return [
      method,
      {
        ...rest,
        ...(data === undefined ? {} : { data: decode(data) }),
        ...(value === undefined ? {} : { value: decode(value) }),
      },
    ]
  })
}

test('fields by attribute, by key, spread, and what they hold', async () => {
  const result = await run(`
    ctx.user = 'ann'
    ctx.logger = { ...ctx.logger, mine: true }
    const copy = { ...ctx }
    return [ctx.traceId, ctx['flows'], ctx.attempt, ctx.signal.aborted, Object.keys(copy).sort(),
      JSON.stringify(ctx), require('util').inspect(ctx).length < 2000]`)
  assert.deepEqual(result, [
    'ab'.repeat(16),
    ['one', 'two'],
    1,
    false,
    ['attempt', 'emit', 'events', 'flows', 'logger', 'state', 'streams', 'traceId', 'user'],
    `{"logger":{"mine":true},"state":{},"streams":{},"traceId":"${'ab'.repeat(16)}","flows":["one","two"],"attempt":1,"events":[],"user":"ann"}`,
    true,
  ])
})

test('the deadline is a point in time and the time that is left', async () => {
  const name = 'deadline.step.js'
  child.write({
    [name]: step(`const { deadline, remainingMs } = ctx
      const left = deadline?.getTime() - Date.now()
      return [deadline instanceof Date, deadline === ctx.deadline, String(remainingMs()),
        left > 50_000 && left <= 60_000, Math.abs(left - ctx.remainingMs()) < 1000]`),
  })
  await child.load(name)
  const late = { deadline_ms: 0 }
  assert.deepEqual(await child.event(name), [false, true, 'Infinity', false, false])
  const timed = (await child.event(name, null, { deadline_ms: 60_000 })) as unknown[]
  assert.deepEqual([timed[0], timed[1], timed[3], timed[4]], [true, true, true, true])
  assert.equal(((await child.event(name, null, late)) as unknown[])[2], '0')
})

test('events that come together are listed beside their data', async () => {
  const name = 'batch.step.js'
  child.write({ [name]: step('return [input, ctx.events]') })
  await child.load(name)
  const events = [
    { event: 'e1', topic: 't', attempt: 1 },
    { event: 'e2', topic: 'u', attempt: 3 },
  ]
  const input = { topic: 't', data: encode(['one', 'two']), event: 'e1', events }
  assert.deepEqual(decode(await child.invoke(name, 'event', input)), [
    ['one', 'two'],
    [
      { id: 'e1', topic: 't', attempt: 1 },
      { id: 'e2', topic: 'u', attempt: 3 },
    ],
  ])
  assert.deepEqual(await child.event(name, 1), [1, []])
})

test('a group is read in pages', async () => {
  child.answer = (_method, params) =>
    params['after'] === 'b' ? [['c', encode(3)]] : [['a', encode(1)], ['b', encode(2)]]
  const result = await run(`
    const page = await state.getGroup('g', { limit: 2 })
    const last = await state.getGroup('g', { limit: 2, after: page.next })
    return [page, page.next, last, last.next ?? 'the end', await state.trace.getGroup({ limit: 5 })]`)
  child.answer = memory()
  assert.deepEqual(result, [[1, 2], 'b', [3], 'the end', [1, 2]])
  assert.deepEqual(asked(), [
    ['state.list', { group: 'g', limit: 2 }],
    ['state.list', { group: 'g', limit: 2, after: 'b' }],
    ['state.list', { group: 'ab'.repeat(16), limit: 5 }],
  ])
})

test('state answers as written', async () => {
  const result = await run(`
    const user = { name: 'ann' }
    return [
      await state.get('users', 'ann'),
      (await state.set('users', 'ann', user)) === user,
      await state.get('users', 'ann'),
      await state.set('users', 7, 0),
      await state.getGroup('users'),
      await state.groups(), await state.listGroups(),
      await state.compareAndSet('users', 'ann', { name: 'bob' }, 1),
      await state.compareAndSet('users', 'ann', { name: 'ann' }, 2),
      await state.compareAndSet('users', 'new', null, 3),
      await state.delete('users', 'ann'),
      await state.delete('users', 'ann'),
      await state.clear('users'),
      await state.set('users', 'none', undefined),
    ]`)
  assert.deepEqual(result, [
    null,
    true,
    { name: 'ann' },
    0,
    [0, { name: 'ann' }],
    ['users'],
    ['users'],
    false,
    true,
    true,
    2,
    null,
    2,
    null,
  ])
  assert.equal(child.requests[3]?.params['key'], '7')
})

test('state options and operations in their form on the wire', async () => {
  await run(`
    await state.set('g', 'k', 1, { ttlMs: 90 * 24 * 3600e3 })
    await state.set('g', 'k', 1, { expect: null }).catch(() => {})
    await state.update('g', 'k', [{ op: 'set', path: 'a.0.b', value: { n: 1n } }, { type: 'remove', path: ['x', 2] }])
    await state.update('g', 'k', { op: 'append', value: null }, { expect: { n: 1 } })
    await state.increment('g', 'k')
    await state.increment('g', 'k', -2)
    await state.trace.set('k', 1)
    await state.trace.update('k', [], { expect: 1 })
    await state.trace.getGroup()`)
  const requests = child.requests.map(({ method, params: { scope: _, ...params } }) => {
    const ops = params['ops'] as Params[] | undefined
    if (ops)
      params['ops'] = ops.map(({ value, ...op }) => ({
        ...op,
        ...(value === undefined ? {} : { value: decode(value) }),
      }))
    if ('value' in params) params['value'] = decode(params['value'])
    if (params['expect']) params['expect'] = decode(params['expect'])
    return [method, params]
  })
  const trace = 'ab'.repeat(16)
  assert.deepEqual(requests, [
    ['state.set', { group: 'g', key: 'k', value: 1, ttl_ms: 7_776_000_000 }],
    ['state.set', { group: 'g', key: 'k', value: 1, expect: null }],
    [
      'state.update',
      {
        group: 'g',
        key: 'k',
        ops: [
          { op: 'set', path: ['a', 0, 'b'], value: { n: '1' } },
          { op: 'remove', path: ['x', 2] },
        ],
      },
    ],
    [
      'state.update',
      { group: 'g', key: 'k', ops: [{ op: 'append', path: [], value: null }], expect: { n: 1 } },
    ],
    ['state.update', { group: 'g', key: 'k', ops: [{ op: 'increment', path: [], value: 1 }] }],
    ['state.update', { group: 'g', key: 'k', ops: [{ op: 'increment', path: [], value: -2 }] }],
    ['state.set', { group: trace, key: 'k', value: 1 }],
    ['state.update', { group: trace, key: 'k', ops: [], expect: 1 }],
    ['state.list', { group: trace }],
  ])
})

test('an option that state does not have is named', async () => {
  const result = await run(`
    const failed = []
    for (const wrong of [
      () => state.set('g', 'k', 1, { ttl: 5 }),
      () => state.set('g', 'k', 1, { ttlMs: '5' }),
      () => state.getGroup('g', { max: 5 }),
      () => state.update('g', 'k', [], { expected: 5 }),
    ]) await wrong().catch((error) => failed.push(error.message))
    return failed`)
  assert.deepEqual(result, [
    'state.set has no option "ttl"; it takes ttlMs and expect',
    'state.set takes ttlMs as a number of milliseconds',
    'state.getGroup has no option "max"; it takes after and limit',
    'state.update has no option "expected"; it takes expect',
  ])
})

test('methods work when they are taken off their object', async () => {
  const result = await run(`
    const { get, set, getGroup, compareAndSet, increment } = state
    const { info } = logger
    info('loose')
    await set('loose', 'k', 1)
    return [await get('loose', 'k'), await getGroup('loose'), await compareAndSet('loose', 'k', 1, 2)]`)
  assert.deepEqual(result, [1, [1], true])
  assert.equal(child.logs[0]?.message, 'loose')
})

test('names that are no text are refused where they are given', async () => {
  const result = await run(`
    return Promise.all([state.get(undefined, 'k'), state.set('g', {}, 1), streams.a.get('g')]
      .map((call) => call.catch((error) => error.message)))`)
  assert.deepEqual(result, [
    'the group must be a string, not undefined',
    'the key must be a string, not object',
    'the id must be a string, not undefined',
  ])
})

test('streams answer items with their marker, and take them back without', async () => {
  const result = await run(`
    const item = await streams.board.set('g', 'i', { text: 'x' })
    await streams['items'].set('g', 'i', item)
    await streams.board.send({ groupId: 'g' }, { type: 'typing', data: { by: 'ann' } })
    await streams.board.send({ groupId: 'g', id: 'i' }, { type: 'plain' })
    await streams.board.send('g', { type: 'short' })
    await streams.board.update('g', 'i', { op: 'set', path: 'text', value: 'y' })
    await streams.board.delete('g', 'i')
    return [item, await streams.board.getGroup('g'), await streams.board.list('g'), 'x' in streams]`)
  const marker = { type: 'state-stream', streamName: 'board', groupId: 'g', id: 'i' }
  assert.deepEqual(result, [{ text: 'x', __motia: marker }, [], [], true])
  const sent = child.requests.map(({ method, params }) => {
    const event = params['event'] as Params | undefined
    return [
      method,
      params['stream'],
      params['id'],
      event && [event['type'], decode(event['data'])],
      decode(params['data']),
    ]
  })
  assert.deepEqual(sent, [
    ['stream.set', 'board', 'i', undefined, { text: 'x' }],
    ['stream.set', 'items', 'i', undefined, { text: 'x' }],
    ['stream.send', 'board', undefined, ['typing', { by: 'ann' }], undefined],
    ['stream.send', 'board', 'i', ['plain', undefined], undefined],
    ['stream.send', 'board', undefined, ['short', undefined], undefined],
    ['stream.update', 'board', 'i', undefined, undefined],
    ['stream.delete', 'board', 'i', undefined, undefined],
    ['stream.list', 'board', undefined, undefined, undefined],
    ['stream.list', 'board', undefined, undefined, undefined],
  ])
})

test('a marker has the names under which clients find an item', async () => {
  const item = await run(`return streams.board.set(5, 7, { text: 'x' })`)
  const marker = { type: 'state-stream', streamName: 'board', groupId: '5', id: '7' }
  assert.deepEqual(item, { text: 'x', __motia: marker })
})

test('the logger has every level and takes errors, bytes and odd messages', async () => {
  await run(`
    logger.debug('d', { n: 1 }); logger.info('i'); logger.warn('w', { raw: Buffer.from([0, 255]) })
    logger.warning('w2'); logger.error('e', { error: new RangeError('far') }); logger.log('l')
    logger.error(new TypeError('alone')); logger.info('list', [1]); logger.info({ a: 1 })
    logger.error('err', new Error('as fields')); logger.info({ order: 1 }, 'fields first')
    const circle = {}; circle.self = circle; logger.info('circle', circle)
    logger.info(undefined)`)
  const logs = child.logs.map(({ scope, level, message, fields }) => {
    assert.equal(scope, child.id)
    return [level, message, fields] as [string, string, Params]
  })
  assert.deepEqual(logs.slice(0, 4), [
    ['debug', 'd', { n: 1 }],
    ['info', 'i', undefined],
    ['warn', 'w', { raw: 'AP8=' }],
    ['warn', 'w2', undefined],
  ])
  const error = logs[4]?.[2]['error'] as Params
  assert.deepEqual([error['name'], error['message']], ['RangeError', 'far'])
  assert.deepEqual(logs[5], ['info', 'l', undefined])
  assert.deepEqual([logs[6]?.[1], logs[6]?.[2]['name']], ['alone', 'TypeError'])
  assert.deepEqual(logs[7], ['info', 'list', { data: [1] }])
  assert.deepEqual(logs[8], ['info', '{ a: 1 }', undefined])
  assert.equal(logs[9]?.[2]['message'], 'as fields')
  assert.deepEqual(logs[10], ['info', 'fields first', { order: 1 }])
  assert.match(JSON.stringify(logs[11]?.[2]), /leads back to itself/)
  assert.equal(logs[12]?.[1], 'undefined')
})

test('a refused call fails with its code and the place that made it', async () => {
  child.answer = () =>
    Promise.reject({ code: 'not_declared', message: 'add it to emits', data: { topic: 't' } })
  const result = (await run(`
    try { await emit({ topic: 't', data: 1 }) }
    catch (error) { return [error.code, error.message, error.data, error.stack.includes(__filename + ':4'), error instanceof Error] }`)) as unknown[]
  child.answer = memory()
  assert.deepEqual(result, ['not_declared', 'add it to emits', { topic: 't' }, true, true])
})

test('a value without a form is refused with its path', async () => {
  const result = await run(`
    const order = { items: [{}] }; order.items[0].order = order
    return emit({ topic: 't', data: order }).catch((error) => [error.code, error.message])`)
  assert.deepEqual(result, ['invalid_payload', '"items[0].order" leads back to itself'])
})

test('a value over the limit of the other side is refused here', async () => {
  const small = await Child.start(
    {
      'a.step.js': step(
        'return state.set("g", "k", "x".repeat(9000)).catch((e) => [e.code, e.message])',
      ),
    },
    { handshake: { max_frame: 8192 } },
  )
  await small.load('a.step.js')
  const [code, message] = (await small.event('a.step.js')) as string[]
  assert.equal(code, 'too_large')
  assert.match(message ?? '', /8192/)
  assert.equal(small.requests.length, 0)
  await small.stop()
})

test('bytes travel both ways', async () => {
  const echo =
    'await state.set("g", "k", { raw: input.raw, more: [new Uint8Array([1])] }); return state.get("g", "k")'
  const raw = Buffer.alloc(50_000, 9)
  const result = (await run(echo, { raw })) as { raw: Buffer; more: Buffer[] }
  assert.ok(raw.equals(result.raw))
  assert.deepEqual(result.more, [Buffer.from([1])])
  assert.deepEqual(await run('return [Buffer.isBuffer(input), input.length]', raw), [true, 50_000])
})

test('calls that the handler does not await leave before its answer', async () => {
  const few = await Child.start(
    { 'a.step.js': step('for (let n = 0; n < 50; n++) emit({ topic: "t", data: n })') },
    { handshake: { window: 3 } },
  )
  await few.load('a.step.js')
  let open = 0
  let most = 0
  few.answer = async () => {
    most = Math.max(most, ++open)
    await new Promise(setImmediate)
    open--
    return { event: 'e' }
  }
  await few.event('a.step.js')
  const answer = few.order.indexOf(`answer ${few.id}`)
  assert.equal(few.order.slice(0, answer).filter((kind) => kind === 'emit').length, 50)
  assert.deepEqual(
    few.requests.map(({ params }) => decode(params['data'])),
    Array.from({ length: 50 }, (_, n) => n),
  )
  assert.ok(most <= 3, `${most} at once`)
  await few.stop()
})

test('a context that is used after its handler fails with a reason', async () => {
  await run('globalThis.kept = ctx')
  const result = await run(
    'return globalThis.kept.emit({ topic: "t" }).catch((error) => [error.code, error.message])',
  )
  assert.deepEqual(result, [
    'unknown_scope',
    'emit after the handler had answered; await every call before it returns',
  ])
  assert.equal(child.requests.length, 0)
})

test('the virtual modules serve whichever handler runs', async () => {
  child.write({
    'lib/help.ts': `
      import { logger, emit, state, streams } from 'motia'
      import core, { defineConfig } from '@motia/core'
      import { config } from '@motiadev/core'
      import * as own from 'stepweave'
      logger.info('while loading')
      export const same = [defineConfig({ a: 1 }), config({ b: 2 }), own.logger === logger, core.emit === emit]
      export const work = async (n: number) => {
        await new Promise((done) => setTimeout(done, 1))
        logger.info('in helper', { n })
        await emit({ topic: 'helped', data: n })
        await streams.board?.set('g', 'i', { n })
        await state.set('help', 'k', n)
        return [await state.get('help', 'k'), state.trace !== undefined]
      }`,
  })
  const results = await Promise.all(
    [1, 2].map(async (n) => {
      const name = `virtual${n}.step.js`
      child.write({
        [name]: step(
          `const { work, same } = require('./lib/help'); return [await work(${n}), same]`,
        ),
      })
      await child.load(name)
      return child.event(name)
    }),
  )
  const same = [{ a: 1 }, { b: 2 }, true, true]
  assert.deepEqual(
    (results as unknown[][]).map(([, value]) => value),
    [same, same],
  )
  const logs = child.logs.filter(({ message }) => message === 'in helper')
  assert.equal(new Set(logs.map(({ scope }) => scope)).size, 2)
  assert.equal(
    child.logs.find(({ message }) => message === 'while loading')?.scope !== undefined,
    true,
  )
})

test('outside of a handler the virtual modules say so', async () => {
  child.write({
    'outside.step.ts': `
    import { emit, state, logger } from 'motia'
    logger.info('outside')
    export const failed = await Promise.all([emit({ topic: 't' }), state.get('g', 'k')].map((call) => call.catch((error: Error) => error.message)))
    export const config = { type: 'noop', name: 'X', description: failed.join(' / ') }`,
  })
  const { config } = await child.load('outside.step.ts')
  assert.equal(
    (config as Params)['description'],
    'emit works only while a handler runs / state works only while a handler runs',
  )
  assert.equal(child.logs.at(-1)?.scope, undefined)
})

test('what a handler throws is answered as its failure', async () => {
  await assert.rejects(run('throw new RangeError("too far")'), (error: Refused) => {
    assert.equal(error.fields.code, 'handler_failed')
    assert.equal(error.fields.type, 'RangeError')
    return true
  })
})
