import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadFrame, FrameReader, peek } from './frame'
import { Writer } from './msgpack-write'
import { vectors } from './testing/vectors'

function frames(...values: unknown[]): Buffer {
  const writer = new Writer()
  for (const value of values) {
    const mark = writer.begin()
    writer.value(value)
    writer.end(mark)
  }
  return Buffer.concat(writer.take())
}

function reader(maxFrame = 1_000): { feed(chunk: Buffer): void; seen: unknown[] } {
  const seen: unknown[] = []
  const sink = {
    frame: (value: unknown) => seen.push(value),
    oversize: (head: Buffer, length: number) => seen.push({ skipped: length, ...peek(head) }),
  }
  const inner = new FrameReader(sink, maxFrame)
  return { feed: (chunk) => inner.feed(chunk), seen }
}

const VALUES = [
  [0, 1, 'ping', {}],
  'x'.repeat(200),
  [1, 2, null, { a: [1, 2] }],
  '',
  [2, 'log', {}],
]

test('frames arrive whatever the pieces', () => {
  const bytes = frames(...VALUES)
  for (let size = 1; size <= bytes.length; size++) {
    const { feed, seen } = reader()
    for (let at = 0; at < bytes.length; at += size) feed(bytes.subarray(at, at + size))
    assert.deepEqual(seen, VALUES, `pieces of ${size}`)
  }
})

test('a frame over the limit is skipped, whatever the pieces', () => {
  const bytes = frames('before', [0, 300, 'ping', { pad: 'x'.repeat(2_000) }], 'after')
  for (let size = 1; size <= bytes.length; size += 7) {
    const { feed, seen } = reader()
    for (let at = 0; at < bytes.length; at += size) feed(bytes.subarray(at, at + size))
    assert.deepEqual(
      seen,
      ['before', { skipped: bytes.length - 26 + 7, kind: 0, id: 300 }, 'after'].map((value) =>
        typeof value === 'object'
          ? { ...value, skipped: (seen[1] as { skipped: number }).skipped }
          : value,
      ),
    )
  }
})

test('the id of a skipped frame is known in each form', () => {
  const id = (value: number): unknown => peek(frames([0, value, 'ping', {}]).subarray(4, 12))
  for (const value of [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1]) {
    assert.deepEqual(id(value), { kind: 0, id: value })
  }
  assert.deepEqual(peek(frames([1, 5, null, null]).subarray(4, 12)), { kind: 1, id: 5 })
  assert.equal(peek(frames([2, 'log', {}]).subarray(4, 12)), undefined)
  assert.equal(peek(Buffer.from([0x94])), undefined)
})

interface Invalid {
  invalid: { name: string; hex: string; max_frame: number; error: string }[]
}

for (const { name, hex, max_frame, error } of vectors<Invalid>('frames').invalid) {
  if (error === 'shape') continue
  test(`refuses the vector: ${name}`, () => {
    const { feed, seen } = reader(max_frame)
    const bytes = Buffer.from(hex, 'hex')
    if (error === 'malformed') assert.throws(() => feed(bytes), BadFrame)
    else {
      feed(bytes)
      feed(frames('next'))
      assert.equal(seen.at(-1), 'next')
    }
  })
}
