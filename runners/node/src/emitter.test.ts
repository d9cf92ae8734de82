// Publishing events and withdrawing them, in a real process.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Child, memory } from './testing/child'
import { decode } from './values'

let child: Child
let count = 0

before(async () => {
  child = await Child.start()
})

after(() => child.stop())

/** Runs a handler's text and gives what it returned; requests are in `child.requests`. */
async function run(body: string): Promise<unknown> {
  const name = `t${++count}.step.js`
  child.write({
    [name]: `exports.config = { type: 'event', name: 'T', subscribes: ['t'] }
      exports.handler = async (input, ctx) => { const { emit } = ctx; ${body} }`,
  })
  await child.load(name)
  child.requests.length = 0
  child.logs.length = 0
  return child.event(name)
}

function emitted(): unknown[] {
  return child.requests.map(({ params: { scope: _, data, ...rest } }) => {
    return { ...rest, data: decode(data) }
  })
}

test('emit takes every option', async () => {
  await run(`
    await emit({ topic: 'plain', data: { at: new Date(0) } })
    await emit({ topic: 'none' })
    await emit({ topic: 'all', data: 1, id: 'i', messageGroupId: 'g', delay: 1500, priority: -7 })
    await emit({ topic: 'other', data: 1, group: 5, delaySeconds: 2, priority: 0 })
    await emit({ topic: 'at', data: 1, at: new Date(1700000000000) })
    await emit({ topic: 'iso', data: 1, at: '2030-01-01T00:00:00Z' })
    await emit({ topic: 'nulls', id: null, group: null, delay: null, delaySeconds: null, at: null, priority: null })`)
  assert.deepEqual(emitted(), [
    { topic: 'plain', data: { at: '1970-01-01T00:00:00.000Z' } },
    { topic: 'none', data: undefined },
    { topic: 'all', data: 1, id: 'i', group: 'g', delay_ms: 1500, priority: -7 },
    { topic: 'other', data: 1, group: '5', delay_ms: 2000, priority: 0 },
    { topic: 'at', data: 1, at: 1_700_000_000_000 },
    { topic: 'iso', data: 1, at: 1_893_456_000_000 },
    { topic: 'nulls', data: undefined },
  ])
})

test('emit without a topic says what it takes', async () => {
  const result = (await run(`
    const failed = []
    for (const event of [undefined, null, 'topic', {}, { data: 1 }]) {
      await emit(event).catch((error) => failed.push([error.name, error.message]))
    }
    return failed`)) as string[][]
  assert.equal(result.length, 5)
  assert.equal(result[0]?.[0], 'TypeError')
  assert.match(result[0]?.[1] ?? '', /emit\(\{ topic: "order.created"/)
  assert.match(result[4]?.[1] ?? '', /an object with data$/)
  assert.deepEqual(emitted(), [])
})

test('an option with a value that makes no sense is named', async () => {
  const result = await run(`
    const failed = []
    for (const wrong of [{ delay: NaN }, { delaySeconds: '5' }, { at: 'nonsense' }, { at: true }, { id: {} }, { messageGroupId: ['g'] }, { priority: 1.5 }, { priority: 1001 }]) {
      await emit({ topic: 't', ...wrong }).catch((error) => failed.push(error.message))
    }
    return failed`)
  assert.deepEqual(result, [
    'emit: "delay" is not a time',
    'emit: "delaySeconds" is not a time',
    'emit: "at" is not a time',
    'emit: "at" is not a time',
    'the id of an event must be a string, not object',
    'the group of an event must be a string, not object',
    'emit: "priority" is a whole number from -1000 to 1000, not 1.5',
    'emit: "priority" is a whole number from -1000 to 1000, not 1001',
  ])
  assert.deepEqual(emitted(), [])
})

test('an option that emit does not have is ignored with one warning', async () => {
  await run(`
    for (let n = 0; n < 3; n++) await emit({ topic: 't', data: n, delayMillis: 5, prio: 1 })`)
  assert.deepEqual(emitted().length, 3)
  assert.deepEqual(
    child.logs.map(({ level, message }) => [level, message.split(';')[0]]),
    [
      ['warn', 'emit has no option "delayMillis", which was ignored'],
      ['warn', 'emit has no option "prio", which was ignored'],
    ],
  )
  assert.match(child.logs[0]?.message ?? '', /it takes topic, data, .*priority$/)
})

test('emit gives the id of the event, with which it can be withdrawn', async () => {
  const known = memory()
  child.answer = (method, params) => (method === 'event.cancel' ? 2 : known(method, params))
  const result = await run(`
    const { cancelEvent } = ctx
    const id = await emit({ topic: 't', delaySeconds: 60 })
    const wrong = await ctx.cancelEvent({ event: id }).catch((error) => error.message)
    return [id, await ctx.cancelEvent(id), await cancelEvent(id), await require('motia').cancelEvent(id), wrong]`)
  child.answer = known
  const id = (result as unknown[])[0]
  assert.equal(typeof id, 'string')
  assert.deepEqual(result, [
    id,
    2,
    2,
    2,
    'cancelEvent needs the id that emit gave, but got an object with event',
  ])
  const withdrawn = child.requests.filter(({ method }) => method === 'event.cancel')
  assert.deepEqual(
    withdrawn.map(({ params }) => params['event']),
    [id, id, id],
  )
})
