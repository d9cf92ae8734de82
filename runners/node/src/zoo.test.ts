// The animals of zoo/, all in one runner.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Params } from './peer'
import { Child, type Files, Refused } from './testing/child'
import { decode } from './values'

declare const __HOME__: string

const zoo = join(__HOME__, 'zoo')

function animals(): Files {
  const names = readdirSync(zoo, { recursive: true }) as string[]
  return Object.fromEntries(
    names
      .filter((name) => /\.\w+$/.test(name))
      .map((name) => [name, readFileSync(join(zoo, name))]),
  )
}

test('the animals live side by side', async () => {
  const child = await Child.start(animals())
  const files = readdirSync(zoo)
    .filter((name) => name.includes('.step.'))
    .sort()
  for (const file of files) assert.deepEqual((await child.load(file))['exports'], ['handler'], file)

  const settled = await Promise.allSettled(files.map((file) => child.event(file, { file })))
  const results = Object.fromEntries(files.map((file, index) => [file, settled[index]]))
  const value = (file: string): unknown => {
    const result = results[file]
    if (result?.status !== 'fulfilled') throw result?.reason
    return result.value
  }

  assert.deepEqual(value('is-a-class.step.ts'), {
    noise: 'moo',
    legs: 4,
    calls: 1,
    seen: ['field', 'road'],
  })
  assert.deepEqual(value('mixes-everything.step.mjs'), [1, 'function', 'TEXT', 'later', true])
  assert.deepEqual(value('patches-everything.step.js'), { kept: [1, 2] })
  assert.equal(value('loose-ends.step.js'), 'answered')
  assert.equal(value('talks-to-the-wire.step.cjs'), 0)
  const thrown = results['throws-at-you.step.js']
  assert.ok(thrown?.status === 'rejected' && thrown.reason instanceof Refused)
  assert.equal(thrown.reason.fields.code, 'handler_failed')

  const emitted = Object.fromEntries(
    child.requests
      .filter(({ method }) => method === 'emit')
      .map(({ params }) => [params['topic'], decode(params['data'])]),
  )
  assert.deepEqual(Object.keys(emitted).sort(), ['in.time', 'odd'])
  const { error, ...odd } = emitted['odd'] as Params
  assert.equal((error as Params)['message'], 'outer')
  assert.deepEqual(odd, {
    frozen: { deep: [{ n: 1 }] },
    hostile: { real: 1 },
    sparse: [null, null, 3],
    date: '1970-01-01T00:00:00.000Z',
    map: { '[object Object]': 2 },
    weak: {},
    regexp: {},
    symbol: 's',
    getter: {},
    url: 'http://example.test/?a=1',
    boxed: [1, false, 's'],
    big: '1180591620717411303424',
    nan: [null, 0],
    args: {},
    generator: {},
    promise: {},
    intl: {},
  })

  // What the loose ends said when their handler was long gone.
  const errors = (): string[] =>
    child.logs.filter(({ level }) => level === 'error').map(({ message }) => message)
  await child.until(() => errors().length >= 4)
  assert.deepEqual(errors().sort(), [
    'Uncaught Object: {}',
    'Unhandled rejection of Error: nobody waits for this',
    'Unhandled rejection of RangeError: nor for this',
    'Unhandled rejection of StepweaveError: emit after the handler had answered; await every call before it returns',
  ])
  assert.deepEqual(await child.call('ping', {}), {})
  assert.equal(
    child.requests.some(({ params }) => params['topic'] === 'too.late'),
    false,
  )
  await child.stop()
})
