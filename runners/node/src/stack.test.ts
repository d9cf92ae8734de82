import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Stacks, typeOf } from './stack'

function stacks(): Stacks {
  const result = new Stacks('/opt/runner/main.cjs')
  result.root = '/project'
  return result
}

const STACK = `RangeError: too far
    at inner (/project/lib/a.ts:3:9)
    at async Promise.all (index 0)
    at Generator.next (<anonymous>)
    at Object.<anonymous> (/project/node_modules/pkg/index.js:1:1)
    at async handler (file:///project/steps/a%20b.step.ts:12:5)
    at /project/steps/c.step.js:7:1
    at new Thing (/elsewhere/x.js:2:2)
    at start (/opt/runner/main.cjs:1:2)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)`

test('frames are those of the project', () => {
  assert.deepEqual(stacks().frames(STACK), [
    { file: '/project/lib/a.ts', line: 3, function: 'inner' },
    { file: '/project/steps/a b.step.ts', line: 12, function: 'handler' },
    { file: '/project/steps/c.step.js', line: 7, function: '<module>' },
  ])
})

test('without any of the project they are the others', () => {
  const text = STACK.split('\n')
    .filter((line) => !/lib|steps/.test(line))
    .join('\n')
  assert.deepEqual(
    stacks()
      .frames(text)
      .map(({ file }) => file),
    ['/project/node_modules/pkg/index.js', '/elsewhere/x.js'],
  )
})

test('the trace is without the runner and with the causes', () => {
  const error = new RangeError('too far', { cause: 'a text' })
  error.stack = STACK
  const inner = new Error('the cause')
  inner.stack = 'Error: the cause\n    at x (/project/x.ts:1:1)'
  const outer = Object.assign(new Error('outer', { cause: inner }), { stack: STACK })
  assert.doesNotMatch(stacks().trace(error), /main\.cjs|Generator\.next|task_queues/)
  assert.match(stacks().trace(outer), /x\.js:2:2\)\nCaused by: Error: the cause/)
})

test("a fault of the runner's own keeps its code and shows no stack", () => {
  const fault = Object.assign(new Error('bad'), { name: 'StepweaveError', code: 'invalid_params' })
  assert.deepEqual(stacks().ownFields(fault, 'internal'), {
    code: 'invalid_params',
    message: 'bad',
  })
  assert.equal(stacks().ownFields(new Error('x'), 'internal').code, 'internal')
  assert.equal(
    stacks().ownFields(Object.assign(new Error('x'), { code: 'ENOENT' }), 'internal').code,
    'internal',
  )
})

test('a type is named for whatever is thrown', () => {
  class Custom extends Error {}
  const cases: [unknown, string][] = [
    [new TypeError('x'), 'TypeError'],
    [new Custom('x'), 'Custom'],
    ['x', 'string'],
    [null, 'null'],
    [undefined, 'undefined'],
    [5, 'number'],
    [[], 'Array'],
    [Object.create(null), 'Object'],
  ]
  for (const [thrown, name] of cases) assert.equal(typeOf(thrown), name)
})
