import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Child } from './testing/child'

test('smoke', async () => {
  const child = await Child.start({
    'a.step.ts': `import { z } from 'zod'
export const config = { type: 'event', name: 'A', subscribes: ['x'], emits: [] } as const
enum E { A, B }
export const handler = async (input: { n: number }, { emit, logger, state }: any) => {
  logger.info('hi', { n: input.n })
  console.log('printed %d', 3)
  await emit({ topic: 'y', data: { n: input.n, e: E.B } })
  await state.set('g', 'k', { d: new Date(0) })
  return await state.get('g', 'k')
}`.replace("import { z } from 'zod'", ''),
  })
  console.log(child.handshake)
  console.log(await child.load('a.step.ts'))
  console.log(await child.event('a.step.ts', { n: 5 }))
  console.log(child.logs, child.order)
  assert.ok(true)
  await child.stop()
})
