// The steps of the project's seed document, unchanged.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Child } from './testing/child'
import { decode } from './values'

declare const __HOME__: string

const seed = (name: string): string =>
  readFileSync(join(__HOME__, '..', '..', 'tests', 'flows', 'seed', 'steps', name), 'utf8')

test("the seed's TypeScript and JavaScript steps run unchanged", async () => {
  const child = await Child.start({
    'package.json': '{ "name": "shop" }',
    'node_modules/zod/package.json': '{ "name": "zod", "main": "index.js" }',
    'node_modules/zod/index.js': `module.exports = require(${JSON.stringify(`${__HOME__}/node_modules/zod`)})`,
    'steps/create-order.step.ts': seed('create-order.step.ts'),
    'steps/process-payment.step.js': seed('process-payment.step.js'),
  })
  const { config, exports, warnings } = await child.load('steps/create-order.step.ts')
  assert.deepEqual([exports, warnings], [['handler'], []])
  assert.deepEqual(config, {
    type: 'api',
    name: 'CreateOrder',
    method: 'POST',
    path: '/orders',
    bodySchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: { productId: { type: 'string' }, quantity: { type: 'number' } },
      required: ['productId', 'quantity'],
    },
    emits: ['order.created'],
    flows: ['ecommerce'],
  })
  const payment = await child.load('steps/process-payment.step.js')
  assert.deepEqual((payment['config'] as { input: unknown }).input, {
    id: 'string',
    amount: 'number',
    currency: 'string',
  })

  const body = ['json', Buffer.from('{"productId":"p1","quantity":2}')]
  const answer = await child.api('steps/create-order.step.ts', { body })
  const order = answer.body as { id: string; createdAt: string }
  assert.equal(answer.status, 201)
  assert.match(order.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  const [set, emitted] = child.requests
  assert.deepEqual(
    [set?.params['group'], set?.params['key'], decode(set?.params['value'])],
    ['orders', order.id, order],
  )
  assert.deepEqual(
    [emitted?.params['topic'], decode(emitted?.params['data'])],
    ['order.created', order],
  )

  await child.event('steps/process-payment.step.js', order)
  // The seed's example calls a function that it does not define: its own catch says so.
  const failed = child.requests.at(-1)
  assert.equal(failed?.params['topic'], 'payment.failed')
  assert.deepEqual(decode(failed?.params['data']), {
    orderId: order.id,
    error: 'processPayment is not defined',
  })
  assert.deepEqual(
    child.logs.map(({ level, message }) => [level, message]),
    [
      ['info', 'Processing payment'],
      ['error', 'Payment failed'],
    ],
  )
  await child.stop()
})
