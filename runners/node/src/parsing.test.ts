import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput, parsersOf, parsing } from './parsing'
import { ApiRequest } from './request'

const standard = (validate: (value: never) => unknown): unknown => ({
  '~standard': { version: 1, vendor: 'test', validate },
})

const request = (): ApiRequest => new ApiRequest({ query: { page: '2' }, params: { id: '7' } })

async function refusal(config: Record<string, unknown>): Promise<unknown> {
  try {
    await parsing(parsersOf(config), () => assert.fail('the handler ran'))(request())
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

  const seen = await parsing(parsersOf(config), (given) => given)(request())

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
    parsing(parsersOf({ bodySchema: broken }), () => 'ran')(request())
  await assert.rejects(run, RangeError)
})
