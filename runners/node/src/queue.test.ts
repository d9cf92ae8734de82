import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Queue } from './queue'

test('first in, first out, however it fills and empties', () => {
  const queue = new Queue<number>()
  assert.equal(queue.shift(), undefined)
  let next = 0
  let expected = 0
  for (let round = 1; round < 200; round++) {
    for (let n = 0; n < round; n++) queue.push(next++)
    for (let n = 0; n < round - 3; n++) assert.equal(queue.shift(), expected++)
    assert.equal(queue.size, next - expected)
  }
  while (queue.size > 0) assert.equal(queue.shift(), expected++)
  assert.equal(expected, next)
  assert.equal(queue.shift(), undefined)
})
