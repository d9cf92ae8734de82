import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameReader } from './frame'
import { decode, Malformed } from './msgpack-read'
import { Writer } from './msgpack-write'
import { Payload } from './payload'
import { isAmbiguous, native, vectors } from './testing/vectors'

interface Frames {
  valid: { name: string; hex: string; value: Record<string, unknown>; canonical: boolean }[]
}

function write(value: unknown): Buffer {
  const writer = new Writer()
  const mark = writer.begin()
  writer.value(value)
  writer.end(mark)
  return Buffer.concat(writer.take())
}

for (const { name, hex, value, canonical } of vectors<Frames>('frames').valid) {
  test(`reads the vector: ${name}`, () => {
    const bytes = Buffer.from(hex, 'hex')
    assert.deepEqual(decode(bytes, 4, bytes.length), native(value))
  })
  if (!canonical || isAmbiguous(value)) continue
  test(`writes the vector: ${name}`, () => {
    assert.equal(write(native(value)).toString('hex'), hex)
  })
}

test('what is written is read as the same', () => {
  const values = [
    ...[0, 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -(2 ** 53) + 1, 1e300, -1e-7, 0.1],
    ...['', 'ž', 'x'.repeat(31), 'ž'.repeat(31), 'x'.repeat(300), '失'.repeat(70_000)],
    { ['__proto__']: 1, a: { b: [] } },
    Array.from({ length: 70_000 }, (_, index) => index),
    Object.fromEntries(Array.from({ length: 70_000 }, (_, index) => [`k${index}`, index])),
    Buffer.alloc(40_000, 7),
    [Buffer.alloc(40_000, 1), 'between', Buffer.alloc(33_000, 2)],
  ]
  for (const value of values) {
    const bytes = write(value)
    assert.equal(bytes.readUInt32BE(0), bytes.length - 4)
    assert.deepEqual(decode(bytes, 4), value)
  }
})

test('undefined fields are left out', () => {
  assert.deepEqual(decode(write({ a: undefined, b: 1 }), 4), { b: 1 })
})

test('payloads of every length are written as a format and bytes', () => {
  for (const length of [0, 1, 84, 85, 86, 255, 256, 21_845, 21_846, 32_768, 65_535, 65_536]) {
    for (const letter of ['x', 'ž', '失']) {
      const text = letter.repeat(length)
      const read = decode(write([new Payload('text', text)]), 4) as [[string, Buffer]]
      assert.equal(read[0][0], 'text')
      assert.equal(read[0][1].toString(), text)
    }
  }
})

test('frames of one turn are taken in order, with large bytes uncopied between them', () => {
  const large = Buffer.alloc(100_000, 3)
  const writer = new Writer()
  for (const value of ['one', large, { two: large }, 'three']) {
    const mark = writer.begin()
    writer.value(value)
    writer.end(mark)
  }
  const failed = writer.begin()
  writer.value([large, 'dropped'])
  writer.rollback(failed)
  const size = writer.size
  const parts = writer.take()
  assert.ok(parts.includes(large))
  assert.equal(Buffer.concat(parts).length, size)
  const seen: unknown[] = []
  new FrameReader({ frame: (value) => seen.push(value), oversize: () => {} }, 1e6).feed(
    Buffer.concat(parts),
  )
  assert.deepEqual(seen, ['one', large, { two: large }, 'three'])
})

test('bytes that are no value are malformed', () => {
  const cases = [
    '',
    'c1',
    '92',
    '9201',
    'a3',
    'd9',
    'd905',
    'dd7fffffff',
    'dfffffffff',
    'c6ffffffff',
    'c0c0',
    'd40101',
    'c70100',
    'a2c328',
    '81c001',
    'cb00',
    'ce0000',
  ]
  for (const hex of cases) {
    assert.throws(() => decode(Buffer.from(hex, 'hex')), Malformed, hex)
  }
})

test('nesting without end is malformed and no crash', () => {
  assert.throws(() => decode(Buffer.alloc(1_000_000, 0x91)), Malformed)
})

test('random bytes never throw anything but Malformed', () => {
  let seed = 1
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647)
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(Array.from({ length: random() % 40 }, () => random() & 0xff))
    try {
      decode(bytes)
    } catch (error) {
      assert.ok(error instanceof Malformed, bytes.toString('hex'))
    }
  }
})
