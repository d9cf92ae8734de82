import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput, type ParsedCall, parsersOf, parsesNothing, parsing } from './parsing'
import { ApiRequest } from './request'

const standard = (validate: (value: never) => unknown): unknown => ({
  '~standard': { version: 1, vendor: 'test', validate },
})

const call = (more: Partial<ParsedCall> = {}): ParsedCall => ({
  refuses: true,
  isBatch: false,
  isOver: () => false,
  warn: (message) => assert.fail(message),
  ...more,
})

/** Takes `{n}` and makes it a number. */
const counts = standard(({ n }: { n: unknown }) =>
  Number.isNaN(Number(n))
    ? { issues: [{ message: 'must be a number', path: ['n'] }] }
    : { value: { n: Number(n) } },
)

const event = parsersOf({ type: 'event', input: counts, bodySchema: counts })

const request = (): ApiRequest => new ApiRequest({ query: { page: '2' }, params: { id: '7' } })

async function refusal(config: Record<string, unknown>): Promise<unknown> {
  try {
    await parsing(parsersOf(config), () => assert.fail('the handler ran'), call())(request())
  } catch (error) {
    assert.ok(error instanceof InvalidInput)
    return error.fields().data?.['issues']
  }
  assert.fail('nothing was refused')
}

test('the handler gets what each schema makes of its part', async () => {
  const config = {
    querySchema: standard((value: { page: string }) => ({ value: { page: Number(value.page) } })),
    params_schema: standard(async (value: { id: string }) => ({ value: { id: `#${value.id}` } })),
    bodySchema: { safeParseAsync: async () => ({ success: true, data: 'parsed' }) },
  }

  const seen = await parsing(parsersOf(config), (given) => given, call())(request())

  const { queryParams, pathParams, body } = seen as ApiRequest
  assert.deepEqual([queryParams, pathParams, body], [{ page: 2 }, { id: '#7' }, 'parsed'])
})

test('the issues of all parts come together, with paths of names and indexes', async () => {
  const issues = await refusal({
    bodySchema: standard(() => ({ issues: [{ message: 'b', path: ['a', { key: 0 }] }] })),
    querySchema: {
      safeParseAsync: async () => ({
        success: false,
        error: { issues: [{ message: 'q', path: ['page'] }] },
      }),
    },
    paramsSchema: standard(() => ({ issues: [{ message: 'p' }] })),
  })

  assert.deepEqual(issues, [
    { in: 'path', path: [], message: 'p' },
    { in: 'query', path: ['page'], message: 'q' },
    { in: 'body', path: ['a', 0], message: 'b' },
  ])
})

test('schemas that are plain data have nothing to run', () => {
  assert.deepEqual(parsersOf({ bodySchema: { type: 'object' }, querySchema: null }), [])
})

test('what a schema throws is no refusal', async () => {
  const broken = standard(() => {
    throw new RangeError('the schema is broken')
  })
  const run = async (): Promise<unknown> =>
    parsing(parsersOf({ bodySchema: broken }), () => 'ran', call())(request())
  await assert.rejects(run, RangeError)
})

test('an event step gets its data parsed', async () => {
  const echo = parsing(event, (given) => given, call())
  assert.deepEqual(await echo({ n: '7' }), { n: 7 })
  await assert.rejects(async () => echo({ n: 'x' }), InvalidInput)
})

test('data that does not fit may be handed over as it came, with a warning', async () => {
  const warnings: string[] = []
  const warns = call({ refuses: false, warn: (message) => warnings.push(message) })
  assert.deepEqual(await parsing(event, (given) => given, warns)({ n: 'x' }), { n: 'x' })
  assert.match(warnings.join(), /: n must be a number$/)
})

test('of a batch each event is parsed, and the issues say which', async () => {
  const warnings: string[] = []
  const data = [{ n: '1' }, { n: 'x' }, { n: 3 }]
  const refusing = parsing(event, (given) => given, call({ isBatch: true }))
  await assert.rejects(
    async () => refusing(data),
    (error: InvalidInput) => {
      const issues = [{ in: 'input', path: [1, 'n'], message: 'must be a number' }]
      assert.deepEqual(error.fields().data, { issues })
      return true
    },
  )
  const warns = call({ isBatch: true, refuses: false, warn: (text) => warnings.push(text) })
  const seen = await parsing(event, (given) => given, warns)(data)
  assert.deepEqual(seen, [{ n: 1 }, { n: 'x' }, { n: 3 }])
  assert.match(warnings.join(), /\[1\]\.n must be a number$/)
})

test('what was given up while it was parsed reaches no handler', async () => {
  const over = call({ isOver: () => true })
  assert.equal(await parsing(event, () => assert.fail('it ran'), over)({ n: 1 }), undefined)
})

test('a config that asks for parsing and has nothing to parse with is known', () => {
  const plain = { validate: 'parse', bodySchema: { id: 'string' }, input: { id: 'string' } }
  assert.ok(parsesNothing({ type: 'api', ...plain }))
  assert.ok(parsesNothing({ type: 'event', ...plain }))
  assert.ok(parsesNothing({ type: 'event', validate: 'parse', bodySchema: counts }))
  assert.ok(!parsesNothing({ type: 'api', ...plain, validate: 'check' }))
  assert.ok(!parsesNothing({ type: 'api', validate: 'parse', bodySchema: counts }))
})
