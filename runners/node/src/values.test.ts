import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode as unpack } from './msgpack-read'
import { decode, encode, encodeJson } from './values'
import type { Payload } from './payload'
import { native, vectors } from './testing/vectors'

type Tagged = Record<string, unknown>
interface Payloads {
  read: { name: string; format: string; hex: string; value?: Tagged; error?: string }[]
  write: { name: string; value: Tagged; format: string; hex: string }[]
}

const bytesOf = (payload: Payload | null): Buffer => Buffer.from(payload?.body as string)
const read = (payload: Payload | null): unknown =>
  decode(payload && [payload.format, bytesOf(payload)])

for (const { name, format, hex, value, error } of vectors<Payloads>('payloads').read) {
  test(`reads the vector: ${name}`, () => {
    const payload = [format, Buffer.from(hex, 'hex')]
    if (error === undefined) assert.deepEqual(decode(payload), native(value as Tagged))
    else assert.throws(() => decode(payload), { code: error })
  })
}

for (const { name, value, format, hex } of vectors<Payloads>('payloads').write) {
  test(`writes the vector: ${name}`, () => {
    const payload = encode(native(value))
    assert.equal(payload?.format, format)
    assert.equal(bytesOf(payload).toString('hex'), hex)
  })
}

interface Values {
  cases: { case: string; format: string; value: unknown; from: { node?: string } }[]
}

for (const { case: name, format, value, from } of vectors<Values>('values').cases) {
  if (from.node === undefined) continue
  test(`writes the native value: ${name}`, () => {
    // The expression is the vector's, written for this.
    const given: unknown = new Function(`return (${from.node})`)()
    const payload = encode(given)
    assert.equal(payload?.format, format)
    matches(read(payload), value)
  })
}

/** Deep equality in which "ANY" stands for anything and HEX for bytes. */
function matches(actual: unknown, expected: unknown): void {
  if (expected === 'ANY') return
  if (Array.isArray(expected)) {
    assert.equal((actual as unknown[]).length, expected.length)
    expected.forEach((item, index) => matches((actual as unknown[])[index], item))
  } else if (typeof expected === 'object' && expected !== null) {
    if ('HEX' in expected) return assert.equal((actual as Buffer).toString('hex'), expected.HEX)
    assert.deepEqual(Object.keys(actual as object).sort(), Object.keys(expected).sort())
    for (const [key, item] of Object.entries(expected)) matches((actual as Tagged)[key], item)
  } else assert.deepEqual(actual, expected)
}

test('no value is nil', () => {
  assert.equal(encode(undefined), null)
  assert.equal(
    encode(() => 1),
    null,
  )
  assert.equal(decode(null), undefined)
})

test('null is a value', () => {
  assert.deepEqual(read(encode(null)), null)
})

test('class instances, maps, symbols and typed arrays have a form', () => {
  class Point {
    x = 1
    #hidden = 2
    get sum(): number {
      return this.x + this.#hidden
    }
  }
  const value = {
    point: new Point(),
    map: new Map<unknown, unknown>([
      [1, { a: 1n }],
      [Symbol('s'), 2],
    ]),
    symbol: Symbol('red'),
    floats: new Float32Array([1, 2]),
    url: new URL('http://x.test/a'),
    text: new String('boxed'),
    invalid: new Date(Number.NaN),
    nothing: Object.create(null) as unknown,
    nested: new Set([[1n], undefined]),
    regexp: /x/,
  }
  assert.deepEqual(read(encode(value)), {
    point: { x: 1 },
    map: { 1: { a: '1' }, s: 2 },
    symbol: 'red',
    floats: [1, 2],
    url: 'http://x.test/a',
    text: 'boxed',
    invalid: null,
    nothing: {},
    nested: [['1'], null],
    regexp: {},
  })
})

test('the quick and the careful way write the same', () => {
  const values: unknown[] = [
    { a: [1, 'ž', null, true, { b: undefined, c() {} }], d: new Date(0), e: Number.NaN, f: -0 },
    [undefined, () => 1, Number.POSITIVE_INFINITY, [], {}],
    'text "quoted" \u2028 \ud800',
    { ['__proto__']: { x: 1 } },
    12.5,
    false,
    new Date(5),
  ]
  for (const value of values) {
    const careful = encode({ value, careful: 1n })
    const quick = encode({ value, careful: '1' })
    assert.equal(bytesOf(careful).toString(), bytesOf(quick).toString())
  }
})

test('halves of surrogate pairs become what UTF-8 can hold', () => {
  const text = 'a\ud800 \\ud800 \\\udc00 \n😀'
  const written = 'a\ufffd \\ud800 \\\ufffd \n😀'
  assert.deepEqual(read(encode({ [text]: [text] })), { [written]: [written] })
  assert.deepEqual(read(encode({ [text]: [text, 1n] })), { [written]: [written, '1'] })
  const mixed = read(encode({ [text]: text, raw: Buffer.from([1]) })) as Record<string, unknown>
  assert.equal(mixed[written], written)
})

test('large integers inside msgpack stay integers', () => {
  const payload = encode({ at: 1_700_000_000_000, raw: Buffer.from([1]) })
  const bytes = bytesOf(payload)
  assert.ok(bytes.includes(Buffer.from('cf0000018bcfe56800', 'hex')))
  assert.deepEqual(unpack(bytes), { at: 1_700_000_000_000, raw: Buffer.from([1]) })
})

test('bytes become base64 where only JSON can be', () => {
  const payload = encodeJson({ raw: new Uint8Array([0, 255]), list: [Buffer.from('a')] })
  assert.equal(payload?.body, '{"raw":"AP8=","list":["YQ=="]}')
})

test('a circle is refused with its path', () => {
  const self: Tagged = { name: 'a', items: [{}] }
  ;(self['items'] as Tagged[])[0]!['owner'] = self
  assert.throws(() => encode(self), {
    code: 'invalid_payload',
    message: '"items[0].owner" leads back to itself',
  })
})

test('a path without end is cut where it is told', () => {
  let deep: unknown = 1
  for (let level = 0; level < 5_000; level++) deep = [deep]
  assert.throws(
    () => encode(deep),
    ({ message }: Error) => message.length < 200 && message.endsWith('is nested too deep'),
  )
})

test('the same object twice is no circle', () => {
  const shared = { a: 1n }
  assert.deepEqual(read(encode([shared, shared, { shared }])), [
    { a: '1' },
    { a: '1' },
    { shared: { a: '1' } },
  ])
})

test('values that fight back are refused with their path', () => {
  const bad = {
    a: {
      get b(): never {
        throw new Error('no')
      },
    },
  }
  assert.throws(() => encode(bad), {
    code: 'invalid_payload',
    message: /"a" cannot be written: no/,
  })
  const json = {
    a: {
      toJSON(): never {
        throw new RangeError('deep')
      },
    },
  }
  assert.throws(() => encode(json), { code: 'invalid_payload', message: /"a"/ })
})

test('nesting beyond the stack is refused', () => {
  let deep: unknown = 1n
  for (let index = 0; index < 100_000; index++) deep = [deep]
  assert.throws(() => encode(deep), { code: 'invalid_payload' })
})

test('a payload of another form is refused', () => {
  for (const payload of ['json', ['json'], ['json', 'text'], [1, Buffer.alloc(0)], {}]) {
    assert.throws(() => decode(payload), { code: 'invalid_payload' })
  }
})
