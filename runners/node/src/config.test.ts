import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { z as z4 } from 'zod'
import * as mini from 'zod/mini'
import { z as z3 } from 'zod3'
import { z as z3v4 } from 'zod3/v4'
import { configPayload, exportNames, partsOf } from './config'

declare const __HOME__: string

const nearby = createRequire(`${__HOME__}/x.js`)

function plain(config: Record<string, unknown>): {
  config: Record<string, unknown>
  warnings: string[]
} {
  const { payload, warnings } = configPayload(config, nearby)
  return { config: JSON.parse(payload.body as string) as Record<string, unknown>, warnings }
}

/** The JSON Schema of a field, less what says which dialect it is. */
function schemaOf(schema: unknown): unknown {
  const { config, warnings } = plain({ input: schema })
  assert.deepEqual(warnings, [])
  const { $schema: _, ...rest } = config['input'] as Record<string, unknown>
  return rest
}

const FIELDS = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    n: { type: 'number', default: 1 },
    at: { type: 'string', format: 'date-time' },
    tags: { type: 'array', items: { type: 'string' } },
  },
  required: ['id', 'at'],
}

// Their types have little in common.
const ZODS = { 'zod 4': z4, 'zod 3': z3, 'zod 4 of the zod 3 package': z3v4 } as unknown as Record<
  string,
  typeof z4
>

for (const [name, z] of Object.entries(ZODS)) {
  test(`${name}: the input form, with dates as text`, () => {
    const schema = z.object({
      id: z.string(),
      n: z.number().default(1),
      at: z.date(),
      tags: z.array(z.string()).optional(),
    })
    assert.deepEqual(schemaOf(schema), FIELDS)
  })
}

test('zod 4: what JSON Schema cannot say is anything', () => {
  const schema = z4.object({
    big: z4.bigint(),
    any: z4.any(),
    made: z4.string().transform((s) => s.length),
  })
  assert.deepEqual(schemaOf(schema), {
    type: 'object',
    properties: { big: {}, any: {}, made: { type: 'string' } },
    required: ['big', 'any', 'made'],
  })
})

test('zod/mini has a schema, too', () => {
  assert.deepEqual(schemaOf(mini.object({ a: mini.string() })), {
    type: 'object',
    properties: { a: { type: 'string' } },
    required: ['a'],
  })
})

test('zod 3: strict objects, unions, effects and one schema in two places', () => {
  const address = z3.object({ street: z3.string() })
  const schema = z3.object({
    home: address,
    work: address,
    either: z3.union([z3.string(), z3.number()]),
    made: z3.string().transform((s) => s.length),
    strict: z3.object({}).strict(),
  })
  const street = {
    type: 'object',
    properties: { street: { type: 'string' } },
    required: ['street'],
  }
  assert.deepEqual(schemaOf(schema), {
    type: 'object',
    properties: {
      home: street,
      work: street,
      either: { type: ['string', 'number'] },
      made: { type: 'string' },
      strict: { type: 'object', properties: {}, additionalProperties: false },
    },
    required: ['home', 'work', 'either', 'made', 'strict'],
  })
})

test('zod 3: a tuple is one of JSON Schema 2020-12', () => {
  const { payload } = configPayload({ input: z3.tuple([z3.string()]).rest(z3.number()) }, nearby)
  assert.deepEqual(JSON.parse(payload.body as string), {
    input: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'array',
      minItems: 1,
      prefixItems: [{ type: 'string' }],
      items: { type: 'number' },
    },
  })
})

test('zod 3: a schema that holds itself has a reference', () => {
  interface Tree {
    children: Tree[]
  }
  const tree: z3.ZodType<Tree> = z3.lazy(() => z3.object({ children: z3.array(tree) }))
  assert.match(JSON.stringify(schemaOf(z3.object({ tree }))), /"\$ref":"#\/properties\/tree"/)
})

test('Standard JSON Schema and conversion methods are used', () => {
  const type = { type: 'string' }
  const standard = {
    '~standard': {
      version: 1,
      vendor: 'x',
      jsonSchema: { input: ({ target }: { target: string }) => ({ ...type, target }) },
    },
  }
  assert.deepEqual(schemaOf(standard), { ...type, target: 'draft-2020-12' })
  assert.deepEqual(schemaOf({ toJsonSchema: () => type }), type)
  assert.deepEqual(schemaOf(Object.assign(() => {}, { toJSONSchema: () => type })), type)
})

test('schemas are found wherever they are', () => {
  const { config } = plain({
    bodySchema: z4.string(),
    responseSchema: { 200: z4.number(), 404: z3.null(), 500: { type: 'string' } },
    schema: z3.boolean(),
    list: [z4.string()],
  })
  const types = JSON.stringify(config)
  for (const type of ['string', 'number', 'null', 'boolean'])
    assert.match(types, new RegExp(`"type":"${type}"`))
})

test('JSON Schema, shorthand and null are left as they are', () => {
  const config = {
    input: { id: 'string', note: 'string?', nested: { n: 'number' }, list: ['number'] },
    bodySchema: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] },
    responseSchema: null,
    queryParams: [{ name: 'q', description: 'text' }],
  }
  assert.deepEqual(plain(config), { config, warnings: [] })
})

test('a schema that cannot be converted is a warning and no schema', () => {
  const bad = { '~standard': { version: 1, vendor: 'valibot' } }
  const throws = {
    toJSONSchema: () => {
      throw new Error('dates')
    },
  }
  const { config, warnings } = plain({ name: 'A', input: bad, responseSchema: { 200: throws } })
  assert.deepEqual(config, { name: 'A', responseSchema: {} })
  assert.equal(warnings.length, 2)
  assert.match(warnings[0] ?? '', /^input: .*valibot gives no JSON Schema/)
  assert.match(warnings[1] ?? '', /^responseSchema\.200: .*dates/)
})

test('functions are left out, other values become JSON', () => {
  const config = {
    name: 'A',
    middleware: [() => 1],
    canAccess() {},
    list: [1, () => 2],
    at: new Date(0),
    big: 1n,
    baseConfig: { factory() {} },
  }
  assert.deepEqual(plain(config).config, {
    name: 'A',
    list: [1],
    at: '1970-01-01T00:00:00.000Z',
    big: '1',
    baseConfig: {},
  })
})

test('a config that holds itself is refused', () => {
  const config: Record<string, unknown> = { name: 'A' }
  config['self'] = { config }
  assert.throws(() => plain(config), { message: 'config: "self.config.self" leads back to itself' })
})

const handler = (): void => {}
const config = { type: 'event', name: 'A' }
const FORMS: Record<string, unknown> = {
  'named exports': { config, handler },
  'a default export of both': { default: { config, handler } },
  'a default export of the handler': { config, default: handler },
  'a function as module': Object.assign(() => {}, { config }),
  'a config that is a function': { config: () => config, handler },
  'a config that is an async function': { config: async () => Promise.resolve(config), handler },
}

for (const [name, exports] of Object.entries(FORMS)) {
  test(`finds the parts: ${name}`, async () => {
    const parts = await partsOf(exports)
    assert.deepEqual(parts.config, config)
    assert.deepEqual(exportNames(parts), ['handler'])
  })
}

test('middleware and canAccess are told as exports', async () => {
  const parts = await partsOf({ config: { ...config, middleware: [handler], canAccess: handler } })
  assert.deepEqual(exportNames(parts), ['canAccess', 'middleware'])
})

test('a file without a config is refused', async () => {
  for (const exports of [{}, { handler }, { config: 'x' }, { config: [] }, null, undefined, 5]) {
    await assert.rejects(partsOf(exports), { name: 'NoConfig', message: /config/ })
  }
})

for (const [name, z] of Object.entries(ZODS)) {
  test(`${name}: what a parsed schema makes of other types is not held to them before`, () => {
    const schema = z.object({ n: z.coerce.number().min(1), at: z.coerce.date(), s: z.string() })
    const parsed = (key: string, isParsed: boolean): unknown => {
      const { payload } = configPayload({ [key]: schema }, nearby, isParsed)
      const config = JSON.parse(payload.body as string) as Record<string, { properties: unknown }>
      return config[key]?.properties
    }
    const date = { type: 'string', format: 'date-time' }
    const n = { type: 'number', minimum: 1 }
    assert.deepEqual(parsed('input', false), { n, at: date, s: { type: 'string' } })
    assert.deepEqual(parsed('input', true), { n: { minimum: 1 }, at: {}, s: { type: 'string' } })
    // Texts become numbers before.
    assert.deepEqual(parsed('querySchema', true), { n, at: {}, s: { type: 'string' } })
    assert.deepEqual(parsed('responseSchema', true), { n, at: date, s: { type: 'string' } })
  })
}

for (const [name, z] of Object.entries(ZODS)) {
  test(`${name}: what a parsed schema fills in or catches is not refused before`, () => {
    const schema = z.object({
      ready: z.preprocess((value) => value ?? 1, z.number()),
      caught: z.string().min(2).catch('x'),
      s: z.string(),
    })
    const parsed = (key: string, isParsed: boolean): Record<string, unknown> => {
      const { payload } = configPayload({ [key]: schema }, nearby, isParsed)
      const config = JSON.parse(payload.body as string) as Record<string, unknown>
      return config[key] as Record<string, unknown>
    }
    const { properties, required } = parsed('bodySchema', true)
    const fields = properties as Record<string, Record<string, unknown>>
    assert.deepEqual(fields['ready'], {})
    assert.equal(fields['caught']?.['type'], undefined)
    assert.deepEqual(fields['s'], { type: 'string' })
    assert.deepEqual(required, ['s'])
    const query = parsed('querySchema', true)['properties'] as typeof fields
    assert.deepEqual(query['ready'], {})
    assert.equal(query['caught']?.['type'], 'string')
    const checked = parsed('bodySchema', false)['properties'] as typeof fields
    assert.deepEqual(checked['ready'], { type: 'number' })
  })

  test(`${name}: the flags of a regular expression hold in its pattern`, () => {
    const matches = (schema: unknown, text: string): boolean => {
      interface Text {
        pattern?: string
        allOf?: Text[]
      }
      const { pattern, allOf = [] } = schemaOf(schema) as Text
      const patterns = [pattern, ...allOf.map((one) => one.pattern)]
      return patterns.every((each) => each === undefined || new RegExp(each, 'u').test(text))
    }
    const short = z.string().regex(/^a[b-d]$/i)
    assert.equal(matches(short, 'AC'), true)
    assert.equal(matches(short, 'AE'), false)
    assert.equal(matches(short.min(2), 'AC'), true)
    assert.equal(matches(short.regex(/c$/), 'AC'), false)
    assert.equal(matches(z.string().regex(/^b$/m), 'a\nb'), true)
    const dots = z.string().regex(/^[.]a.\.$/s)
    assert.equal(matches(dots, '.a\n.'), true)
    assert.equal(matches(dots, '.ab.'), true)
    assert.equal(matches(dots, 'xa\n.'), false)
    assert.equal(matches(z.string().regex(/^a$/), 'A'), false)
  })
}

test('a schema that runs needs no JSON Schema', () => {
  const schema = { '~standard': { version: 1, vendor: 'own', validate: () => ({ value: 1 }) } }
  const warnings = (key: string, isParsed: boolean): string[] =>
    configPayload({ [key]: schema }, nearby, isParsed).warnings
  assert.match(warnings('input', false).join(), /^input: .*own gives no JSON Schema/)
  assert.deepEqual(warnings('input', true), [])
  assert.equal(warnings('responseSchema', true).length, 1)
})
